import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";

/** Asks the server extension. Throws an error that says what is wrong. */
export async function ask(settings: ServerConnection.ISettings, path: string, method = "GET"): Promise<unknown> {
  const url = URLExt.join(settings.baseUrl, "nbactors/api", path);
  const response = await ServerConnection.makeRequest(url, { method }, settings);
  const answer = (await response.json()) as { message?: string };
  if (!response.ok) throw new Error(answer.message ?? response.statusText);
  return answer;
}
