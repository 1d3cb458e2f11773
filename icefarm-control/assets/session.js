// The login of this page, which ends while the page is open: by its time, with its token, or with
// the program that control is.

export function logIn() {
  location.assign(new URL("login", document.baseURI));
}

/** Why a websocket was refused is not told to pages, so another request is asked. */
export async function logInIfNeeded() {
  try {
    const answer = await fetch(new URL("v1/whoami", document.baseURI));
    if (answer.status === 401) logIn();
  } catch {
    // Control is away, and that is told already.
  }
}
