import { afterEach, expect, test } from "vitest";
import { t, setTranslation } from "../src/words.js";

afterEach(() => {
  setTranslation(null);
});

test("without a translation a text is English, with its values", () => {
  expect(t("%2 of %1, %2", "a", 7)).toBe("7 of a, 7");
  expect(t("50 % of %1", "x")).toBe("50 % of x");
});

test("a bundle of the page translates", () => {
  setTranslation({ __: (text, ...values) => `${text.toUpperCase()} ${values.join()}` });
  expect(t("Cancel %1", "run")).toBe("CANCEL %1 run");
});
