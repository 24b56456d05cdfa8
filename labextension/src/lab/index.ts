/** The extension of JupyterLab and Notebook 7: a side panel, an item of the status bar, commands. */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, Notification } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";
import { INotebookTracker } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";
import { PanelModel } from "../model.js";
import { cancelCallsOf } from "./cell_calls.js";
import { actorsIcon } from "./icon.js";
import { LiveSocket } from "./live_socket.js";
import { Notebooks } from "./notebooks.js";
import { SidePanel, StatusItem } from "./views.js";
import { setTranslation } from "../words.js";

const SHOW = "nbactors:show";
const INTERRUPT_ALL = "nbactors:interrupt-all";
const CANCEL_CALLS = "nbactors:cancel-calls-of-cell";
const OPEN_TUTORIAL = "nbactors:open-tutorial";
const SHOW_LATER = "nbactors:show-later-output";

const plugin: JupyterFrontEndPlugin<void> = {
  id: "nbactors:plugin",
  description: "Shows the actors of the user's node, and what can be done about them.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ILayoutRestorer, ILauncher, ICommandPalette, IStatusBar, ISettingRegistry, ITranslator],
  activate,
};

function activate(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  restorer: ILayoutRestorer | null,
  launcher: ILauncher | null,
  palette: ICommandPalette | null,
  statusBar: IStatusBar | null,
  settings: ISettingRegistry | null,
  translator: ITranslator | null,
): void {
  const trans = (translator ?? nullTranslator).load("nbactors");
  setTranslation(trans);
  const socket = new LiveSocket(app.serviceManager.serverSettings);
  const model = new PanelModel(socket);
  lookWhileVisible(model);

  const notebooks = new Notebooks(app, tracker, trans);
  const panel = new SidePanel(model, notebooks);
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
  app.commands.addCommand(CANCEL_CALLS, {
    label: trans.__("Cancel the Calls of This Cell"),
    isEnabled: () => model.isLive.value && tracker.activeCell !== null,
    execute: async (args) => {
      // A right click does not make a cell the active one.
      const clicked = args["isMenu"] === true ? app.contextMenuHitTest((node) => node.classList.contains("jp-Cell")) : undefined;
      const cell = tracker.currentWidget?.content.widgets.find((each) => each.node === clicked) ?? tracker.activeCell;
      if (cell === null) return;
      const count = await cancelCallsOf(cell.model.id, app.serviceManager.serverSettings);
      Notification.info(count === 0 ? trans.__("No call of this cell runs.") : trans.__("%1 cancelled.", count), { autoClose: 3000 });
    },
  });
  app.commands.addCommand(SHOW_LATER, {
    label: trans.__("Show Output That Came Later"),
    isEnabled: () => tracker.activeCell !== null,
    execute: () => notebooks.insert("%inbox"),
  });
  app.commands.addCommand(OPEN_TUTORIAL, {
    label: (args) => (args["isPalette"] === true ? trans.__("Open the Actors Tutorial") : trans.__("Actors Tutorial")),
    caption: trans.__("Open a copy of the first tutorial of nbactors"),
    icon: actorsIcon,
    execute: (args) => notebooks.openTutorial((args["cwd"] as string | undefined) ?? ""),
  });
  launcher?.add({ command: OPEN_TUTORIAL, category: trans.__("Other"), rank: 20 });
  palette?.addItem({ command: OPEN_TUTORIAL, category: trans.__("Actors"), args: { isPalette: true } });
  for (const command of [SHOW, INTERRUPT_ALL, CANCEL_CALLS, SHOW_LATER]) palette?.addItem({ command, category: trans.__("Actors") });

  const status = new StatusItem(model, () => void app.commands.execute(SHOW));
  statusBar?.registerStatusItem("nbactors:status", { item: status, align: "left", rank: 300 });
  void settings?.load(plugin.id).then((loaded) => {
    const follow = (): void => {
      status.configure(loaded.composite["statusBar"] as boolean, loaded.composite["memoryWarning"] as number);
    };
    loaded.changed.connect(follow);
    follow();
  });
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
