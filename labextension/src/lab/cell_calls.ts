import type { ServerConnection } from "@jupyterlab/services";
import { ask } from "./api.js";

/** What this file needs of a row of `GET calls`. */
interface CallRow {
  task_id: string;
  cell_id: string;
  state: string;
  parent_task_id: string;
}

/** Cancels the calls that a cell has made and that have not ended, and returns how many there were. */
export async function cancelCallsOf(cellId: string, settings: ServerConnection.ISettings): Promise<number> {
  const rows = (await ask(settings, "calls")) as CallRow[];
  const live = rows.filter((row) => row.cell_id === cellId && row.state !== "FINISHED" && row.state !== "FAILED");
  // The calls that they have made are cancelled with them.
  const own = live.filter((row) => !live.some((other) => other.task_id === row.parent_task_id));
  await Promise.all(own.map((row) => ask(settings, `calls/${row.task_id}/cancel`, "POST")));
  return own.length;
}
