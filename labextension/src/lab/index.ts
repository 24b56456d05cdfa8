/** The extension of JupyterLab and Notebook 7: a side panel, an item of the status bar, commands. */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { INotebookTracker } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";
import { PanelModel } from "../model.js";
import { actorsIcon } from "./icon.js";
import { LiveSocket } from "./live_socket.js";
import { Notebooks } from "./notebooks.js";
import { SidePanel, StatusItem } from "./views.js";

const SHOW = "nbactors:show";
const INTERRUPT_ALL = "nbactors:interrupt-all";

const plugin: JupyterFrontEndPlugin<void> = {
  id: "nbactors:plugin",
  description: "Shows the actors of the user's node, and what can be done about them.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ILayoutRestorer, ICommandPalette, IStatusBar, ISettingRegistry, ITranslator],
  activate,
};

function activate(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  restorer: ILayoutRestorer | null,
  palette: ICommandPalette | null,
  statusBar: IStatusBar | null,
  settings: ISettingRegistry | null,
  translator: ITranslator | null,
): void {
  const trans = (translator ?? nullTranslator).load("nbactors");
  const socket = new LiveSocket(app.serviceManager.serverSettings);
  const model = new PanelModel(socket);
  lookWhileVisible(model);

  const panel = new SidePanel(model, new Notebooks(app, tracker, trans));
  panel.title.icon = actorsIcon;
  panel.title.caption = trans.__("Actors");
  app.shell.add(panel, "left", { rank: 600 });
  restorer?.add(panel, panel.id);

  app.commands.addCommand(SHOW, {
    label: trans.__("Show the Actors"),
    icon: actorsIcon,
    execute: () => {
      app.shell.activateById(panel.id);
    },
  });
  app.commands.addCommand(INTERRUPT_ALL, {
    label: trans.__("Interrupt All Actors"),
    isEnabled: () => model.isLive.value,
    execute: () => model.do({ what: "interrupt_all" }),
  });
  for (const command of [SHOW, INTERRUPT_ALL]) palette?.addItem({ command, category: trans.__("Actors") });

  const show = (): void => void app.commands.execute(SHOW);
  statusBar?.registerStatusItem("nbactors:status", { item: new StatusItem(model, show), align: "left", rank: 300 });
  void settings?.load(plugin.id);
}

/** How often a visible page says that it still is, in milliseconds. */
const LOOK_MS = 10_000;

/** Has the server send changes while the page is visible. */
function lookWhileVisible(model: PanelModel): void {
  let isVisible = false;
  const look = (): void => {
    const now = document.visibilityState === "visible";
    if (now !== isVisible) model.look((isVisible = now));
  };
  look();
  document.addEventListener("visibilitychange", look);
  setInterval(() => {
    model.keepLooking();
  }, LOOK_MS);
}

export default plugin;
