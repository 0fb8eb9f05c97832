/** The server: requests, and its news. */

/** A request that was refused; the message is for people. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const UNREACHABLE = "The studio does not answer. Is `hamster studio` still running?";

/**
 * Send a request with a JSON body, and return what it answers.
 * @param {string} route below /api/
 * @param {object} [body]
 * @param {"POST"|"PUT"} [method]
 */
export async function send(route, body = {}, method = "POST") {
  const response = await checked(
    fetch(`/api/${route}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
  return response.status === 200 ? response.json() : null;
}

/**
 * Send a picture or a video.
 * @param {File} file
 */
export async function sendFile(file) {
  const route = file.type.startsWith("video/") ? "upload-video" : "upload";
  await checked(
    fetch(`/api/${route}`, { method: "POST", headers: { "x-file-name": encodeURIComponent(file.name) }, body: file }),
  );
}

/**
 * Return the response, or throw what is wrong with it.
 * @param {Promise<Response>} promise
 */
async function checked(promise) {
  const response = await promise.catch(() => {
    throw new Refused(0, "unreachable", UNREACHABLE);
  });
  if (response.ok) return response;
  const error = (await response.json().catch(() => ({}))).error;
  throw new Refused(response.status, error?.code ?? "failed", error?.message ?? `The request failed (${response.status}).`);
}

/**
 * Follow the server's news for ever; connections that break are made again.
 * @param {object} listener
 * @param {(state: any) => void} listener.onState
 * @param {(image: ImageBitmap) => void} listener.onImage
 * @param {(problem: string) => void} listener.onLost told in words, and "" when the connection is there again
 */
export function watch({ onState, onImage, onLost }) {
  const socket = new WebSocket(`ws://${location.host}/api/watch`);
  socket.binaryType = "blob";
  let shown = Promise.resolve();
  socket.onopen = () => onLost("");
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") onState(JSON.parse(data));
    else shown = shown.then(async () => onImage(await createImageBitmap(data))).catch(() => {});
  };
  socket.onclose = async () => {
    onLost(await reasonOfLoss());
    setTimeout(() => watch({ onState, onImage, onLost }), 1000);
  };
}

async function reasonOfLoss() {
  try {
    await checked(fetch("/api/state"));
    return "The connection broke; trying again …";
  } catch (error) {
    if (!(error instanceof Refused)) return UNREACHABLE;
    if (error.status !== 401) return error.message;
    return "The studio has been started anew: open the link that it printed. What you kept is still in its folder.";
  }
}
