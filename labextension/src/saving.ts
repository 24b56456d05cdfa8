/**
 * Saves the states of the panels with their notebook.
 *
 * JupyterLab saves the states of widgets only if a setting says so, which is off at first. Without its state a panel of a
 * notebook that is opened again is an error message. So the panels have their own states, and nothing else, saved in the
 * place where JupyterLab saves and restores the states of all widgets: the notebook's metadata `widgets`.
 */

const KEY = "widgets";
const MIME = "application/vnd.jupyter.widget-state+json";
const OURS = "nbactors.";

interface SavedModel {
  state: Record<string, unknown>;
}

/** The states of widgets, by the id of their models. */
export interface WidgetStates {
  version_major: number;
  version_minor: number;
  state: Record<string, SavedModel>;
}

/** What this needs of JupyterLab's manager of the widgets of one notebook. */
interface NotebookManager {
  get_state_sync(options: { drop_defaults: boolean }): WidgetStates;
  context: {
    saveState: { connect(slot: (sender: unknown, state: string) => void): unknown };
    model: {
      getMetadata(key: string): unknown;
      setMetadata(key: string, value: unknown): void;
      toJSON(): unknown;
    };
  };
}

const watched = new WeakSet();

/** Has the panels of a notebook saved with it. `manager` is the widgets' manager, which may be one of another program. */
export function saveWith(manager: unknown): void {
  if (!isNotebookManager(manager) || watched.has(manager.context)) return;
  const { context } = manager;
  watched.add(context);
  context.saveState.connect((_, state) => {
    if (state !== "started") return;
    const saved = context.model.getMetadata(KEY) as Record<string, WidgetStates> | undefined;
    const states = merged(saved?.[MIME], manager.get_state_sync({ drop_defaults: true }), () => JSON.stringify(context.model.toJSON()));
    if (states !== undefined) context.model.setMetadata(KEY, { ...saved, [MIME]: states });
  });
}

/**
 * Returns the states to save: those that are saved already, and those of the panels that live now.
 *
 * An old state of a panel is dropped when no output shows it any more. Undefined if no panel is to be saved.
 */
export function merged(saved: WidgetStates | undefined, living: WidgetStates, notebook: () => string): WidgetStates | undefined {
  const ours = withReferences(living.state, panels(living.state));
  const old = panels(saved?.state ?? {}).filter((id) => !ours.has(id));
  if (ours.size === 0 && old.length === 0) return undefined;
  const others = Object.entries(saved?.state ?? {});
  let dropped = new Set<string>();
  if (old.length > 0 && saved !== undefined) {
    const text = outputsOf(notebook());
    const shown = old.filter((id) => text.includes(id));
    const kept = withReferences(saved.state, shown);
    const all = withReferences(saved.state, old);
    dropped = new Set([...all].filter((id) => !kept.has(id)));
  }
  const state = Object.fromEntries(others.filter(([id]) => !dropped.has(id)));
  for (const id of ours) {
    const model = living.state[id];
    if (model !== undefined) state[id] = model;
  }
  return { version_major: 2, version_minor: 0, ...saved, state };
}

/** Returns the text of a notebook without its metadata, where the ids of all saved models are. */
function outputsOf(text: string): string {
  const { cells } = JSON.parse(text) as { cells?: unknown };
  return JSON.stringify(cells ?? "");
}

function panels(models: Record<string, SavedModel>): string[] {
  return Object.keys(models).filter((id) => {
    const kind = models[id]?.state._anywidget_id;
    return typeof kind === "string" && kind.startsWith(OURS);
  });
}

/** Returns models, and those that they refer to. */
function withReferences(models: Record<string, SavedModel>, ids: string[]): Set<string> {
  const found = new Set<string>();
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const model = models[id];
    if (found.has(id) || model === undefined) continue;
    found.add(id);
    for (const value of Object.values(model.state)) {
      if (typeof value === "string" && value.startsWith("IPY_MODEL_")) open.push(value.slice("IPY_MODEL_".length));
    }
  }
  return found;
}

function isNotebookManager(manager: unknown): manager is NotebookManager {
  const candidate = manager as Partial<NotebookManager> | undefined;
  const model = candidate?.context?.model as Partial<NotebookManager["context"]["model"]> | undefined;
  return (
    typeof candidate?.get_state_sync === "function" &&
    typeof candidate.context?.saveState.connect === "function" &&
    typeof model?.setMetadata === "function"
  );
}
