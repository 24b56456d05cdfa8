import type { JupyterFrontEnd } from "@jupyterlab/application";
import { PathExt } from "@jupyterlab/coreutils";
import { type INotebookTracker, NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";
import type { TranslationBundle } from "@jupyterlab/translation";
import { ask } from "./api.js";
import type { Host } from "../node_panel.js";
import type { JobState } from "../protocol.js";

/** Works on the notebooks that are open in the page. */
export class Notebooks implements Host {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly tracker: INotebookTracker,
    private readonly trans: TranslationBundle,
  ) {}

  /** Inserts `%attach name` below the active cell of the current notebook, and runs it. */
  async attach(name: string): Promise<string> {
    const isDone = await this.insert(`%attach ${name}`);
    return isDone ? "" : this.trans.__("Open a notebook first; then attach the actor to it.");
  }

  /** Inserts a cell below the active one of the current notebook, and runs it. Returns whether there is a notebook. */
  async insert(code: string): Promise<boolean> {
    const panel = this.tracker.currentWidget;
    if (panel === null) return false;
    const { content, sessionContext } = panel;
    NotebookActions.insertBelow(content);
    content.activeCell?.model.sharedModel.setSource(code);
    this.app.shell.activateById(panel.id);
    await NotebookActions.run(content, sessionContext);
    return true;
  }

  /** Opens a copy of the first tutorial in a folder; an earlier copy is opened as it is. */
  async openTutorial(folder: string): Promise<void> {
    const { contents, serverSettings } = this.app.serviceManager;
    const path = PathExt.join(folder, "nbactors tutorial.ipynb");
    const isThere = await contents.get(path, { content: false }).then(
      () => true,
      () => false,
    );
    if (!isThere) {
      const content = await ask(serverSettings, "tutorial");
      await contents.save(path, { type: "notebook", format: "json", content });
    }
    await this.app.commands.execute("docmanager:open", { path });
  }

  /** Opens the notebook of a job, if it has one, and shows a cell of it. */
  reveal(job: JobState, cellId: string): void {
    void this.show(job, cellId);
  }

  private async show(job: JobState, cellId: string): Promise<void> {
    const panel = this.find(job) ?? (await this.open(job));
    if (panel === undefined) return;
    this.app.shell.activateById(panel.id);
    await panel.revealed;
    const { content } = panel;
    const index = content.widgets.findIndex((cell) => cell.model.id === cellId);
    if (index < 0) return;
    content.activeCellIndex = index;
    await content.scrollToItem(index, "smart");
  }

  private find(job: JobState): NotebookPanel | undefined {
    return this.tracker.find((panel) => panel.sessionContext.session?.kernel?.id === job.kernel_id && job.kernel_id !== "");
  }

  private async open(job: JobState): Promise<NotebookPanel | undefined> {
    if (job.path === "") return undefined;
    return (await this.app.commands.execute("docmanager:open", { path: job.path })) as NotebookPanel;
  }
}
