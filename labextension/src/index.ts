/** The entry for anywidget: one call of the default export for each widget. */
import { h, render as draw } from "preact";
import { Panel } from "./panel.js";
import { PanelModel, type WidgetModel } from "./model.js";
import { saveWith } from "./saving.js";
import css from "./style.css";

const STYLE = "nbactors-panels-style";

function addStyle(): void {
  if (document.getElementById(STYLE) !== null) return;
  const style = document.createElement("style");
  style.id = STYLE;
  style.textContent = css;
  document.head.append(style);
}

export default () => {
  let panel: PanelModel | undefined;
  return {
    initialize({ model }: { model: WidgetModel }): void {
      panel = new PanelModel(model);
    },
    render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
      addStyle();
      saveWith(model.widget_manager);
      draw(h(Panel, { model: (panel ??= new PanelModel(model)) }), el);
      return () => {
        draw(null, el);
      };
    },
  };
};
