//! `token`, `login`, `logout` and `audit`.

use super::args::{AuditArgs, LoginArgs, LogoutArgs, TokenAction, TokenCommandArgs};
use super::credentials::{self, Kept};
use super::server::{Control, Fault, escaped, run};
use super::table::{Table, clean};
use super::{print, remark};
use crate::serve;
use icefarm_core::Timestamp;
use icefarm_core::wire::{
    AuditEntry, AuditPage, CreateToken, CreatedToken, NamePattern, TokenDetail, WhoAmI,
};
use icefarm_net::{Endpoint, HttpError, Token};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

pub(crate) fn token(args: TokenCommandArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        match args.action {
            TokenAction::Create => create(&control, &args).await,
            TokenAction::List => list(&control, &args).await,
            TokenAction::Revoke => {
                let id = escaped(args.id.as_deref().unwrap_or_default());
                let token: TokenDetail =
                    control.post(&format!("/v1/tokens/{id}/revoke"), &json!({})).await?;
                if args.output.json {
                    print::json(&token);
                } else {
                    print::line(&format!("{} ({}) is revoked", token.id, clean(&token.label)));
                }
                Ok(())
            }
        }
    })
}

async fn create(control: &Control, args: &TokenCommandArgs) -> Result<(), Fault> {
    let Some(role) = args.role else { return Err(Fault::NoRole) };
    let wanted = CreateToken {
        role,
        names: args.names.clone(),
        label: args.label.clone(),
        expires_in_s: args.expires.map(|days| u64::from(days) * 24 * 3600),
    };
    let wanted = serde_json::to_value(&wanted).map_err(|error| Fault::Input(error.into()))?;
    let created: CreatedToken = control.post("/v1/tokens", &wanted).await?;
    let shown = if args.output.json {
        print::try_json(&created)
    } else {
        remark(&format!(
            "token {} for a {}{}; it is shown only this once:",
            created.detail.id,
            created.detail.role,
            of_names(&created.detail.names)
        ));
        print::try_line(&created.token)
    };
    // A reader that has gone away does not have it either.
    shown.map_err(|source| Fault::TokenUnseen { id: created.detail.id.to_string(), source })
}

fn of_names(names: &[NamePattern]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<_> = names.iter().map(|name| clean(name.as_str())).collect();
    format!(" named {}", names.join(", "))
}

async fn list(control: &Control, args: &TokenCommandArgs) -> Result<(), Fault> {
    let tokens: Vec<TokenDetail> = control.get("/v1/tokens").await?;
    if args.output.json {
        tokens.iter().for_each(print::json);
        return Ok(());
    }
    let mut table = Table::new(["id", "role", "names", "made", "ends", "label"]);
    for token in &tokens {
        let names: Vec<_> = token.names.iter().map(|name| name.as_str()).collect();
        let ends = match (token.revoked, token.expires) {
            (Some(at), _) => format!("revoked {}", day(at)),
            (None, Some(at)) => day(at),
            (None, None) => "never".to_owned(),
        };
        table.row([
            token.id.to_string(),
            token.role.to_string(),
            names.join(", "),
            day(token.created),
            ends,
            token.label.clone(),
        ]);
    }
    print::table(&table);
    Ok(())
}

/// The day, without the time of it.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

pub(crate) fn login(args: LoginArgs) -> ExitCode {
    run(async {
        let stopped = serve::stopped()?;
        tokio::select! {
            done = log_in(args) => done,
            status = stopped => Err(Fault::Stopped(status)),
        }
    })
}

async fn log_in(args: LoginArgs) -> Result<(), Fault> {
    let endpoint: Endpoint = args.url.parse().map_err(HttpError::from)?;
    // Relative to another folder it would not be found again.
    let ca = args.trust.ca.as_ref().map(std::path::absolute).transpose();
    let ca = ca.map_err(Fault::Input)?;
    let token = ask(&endpoint).await?;
    let control = Control::with(endpoint.clone(), Some(token.as_str()), ca.as_deref())?;
    let who: WhoAmI = control.get("/v1/whoami").await?;
    let Some(known) = who.token else {
        remark("this farm asks nobody for a token, so none is kept");
        return Ok(());
    };
    let kept = Kept { token: token.as_str().to_owned(), names: known.names.clone(), ca };
    let path = credentials::keep(&endpoint, kept)?;
    remark(&format!(
        "logged in at {endpoint} as a {}{}; the token is kept in {}",
        known.role,
        of_names(&known.names),
        path.display()
    ));
    if endpoint.to_string() != "http://127.0.0.1:8080" {
        remark(&format!("next: icefarm status --control {endpoint}"));
    }
    Ok(())
}

/// The token, from the terminal or from stdin.
async fn ask(endpoint: &Endpoint) -> Result<Token, Fault> {
    let quiet = std::io::stdin().is_terminal().then(|| {
        let quiet = Quiet::begin();
        let mut err = std::io::stderr().lock();
        // A prompt that nobody sees keeps nobody from typing.
        let _ = write!(err, "access token for {endpoint}: ").and_then(|()| err.flush());
        quiet
    });
    let text = typed().await.map_err(Fault::Input)?;
    drop(quiet);
    text.trim().parse().map_err(Fault::NoToken)
}

/// A line of stdin, read beside this thread: the user may rather end the program than type it, and
/// then the terminal is to be as it was.
async fn typed() -> std::io::Result<String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_line(&mut text);
        // Nobody waits for it any more if the program ends.
        let _ = tell.send(read.map(|_| text));
    })?;
    told.await.unwrap_or_else(|_| Err(std::io::ErrorKind::UnexpectedEof.into()))
}

/// As long as it lives, the terminal does not show what is typed.
struct Quiet(Option<rustix::termios::Termios>);

impl Quiet {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be quiet shows the token to whoever sits before it.
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
        // The key that ended the line was not shown either.
        remark("");
    }
}

pub(crate) fn logout(args: LogoutArgs) -> ExitCode {
    run(async {
        let endpoint: Endpoint = args.url.parse().map_err(HttpError::from)?;
        remark(if credentials::forget(&endpoint)? {
            "the token is not kept any more; an operator can also revoke it"
        } else {
            "no token is kept for this farm"
        });
        Ok(())
    })
}

pub(crate) fn audit(args: AuditArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let mut path = format!("/v1/audit?limit={}", args.limit);
        let filters = [("client", &args.about), ("serial", &args.serial), ("since", &args.since)];
        for (key, value) in filters {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", escaped(value)));
            }
        }
        let page: AuditPage = control.get(&path).await?;
        if args.output.json {
            page.entries.iter().for_each(print::json);
        } else if page.entries.is_empty() {
            print::line("Nothing like that was done.");
        } else {
            page.entries.iter().for_each(|entry| print::line(&line(entry)));
        }
        Ok(())
    })
}

/// A deed for people.
fn line(entry: &AuditEntry) -> String {
    let who = match (&entry.label, &entry.token) {
        (Some(label), Some(token)) => format!("{label} ({token}, {})", entry.role),
        _ => "anybody".to_owned(),
    };
    let mut on: Vec<String> = entry.serials.iter().map(ToString::to_string).collect();
    on.extend(entry.worker.iter().map(|worker| format!("worker {worker}")));
    on.extend(entry.on_token.iter().map(|token| format!("token {token}")));
    on.extend(entry.client.iter().map(|client| format!("of {client}")));
    let outcome = match entry.outcome.as_str() {
        "done" => String::new(),
        other => format!("  ! {other}"),
    };
    let (at, peer, action) = (entry.at, &entry.peer, &entry.action);
    clean(&format!("{at}  {who} at {peer}: {action} {}{outcome}", on.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_on_one_line() {
        let entry = json!({"seq": 1, "at": "2026-11-22T20:15:00.000Z", "token": "t1",
            "label": "Bob", "role": "client", "peer": "10.0.0.7", "action": "end",
            "client": "alice", "serials": ["A", "B"], "outcome": "forbidden"});
        let entry: AuditEntry = serde_json::from_value(entry).unwrap();
        assert_eq!(
            line(&entry),
            "2026-11-22T20:15:00.000Z  Bob (t1, client) at 10.0.0.7: end A B of alice  ! forbidden"
        );
    }
}
