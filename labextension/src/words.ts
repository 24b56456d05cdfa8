/** The texts of the views, in the language of the page. */

type Translate = (text: string, ...values: string[]) => string;

const inEnglish: Translate = (text, ...values) => text.replace(/%(\d)/g, (_, place: string) => values[Number(place) - 1] ?? "");

let translate = inEnglish;

/** Sets what translates the texts: JupyterLab has a bundle of translations. Without one they are English. */
export function setTranslation(bundle: { __: Translate } | null): void {
  translate = bundle === null ? inEnglish : (text, ...values) => bundle.__(text, ...values);
}

/** Returns a text in the language of the page. `%1` stands for the first value, and so on. */
export function t(text: string, ...values: (string | number)[]): string {
  return translate(text, ...values.map(String));
}
