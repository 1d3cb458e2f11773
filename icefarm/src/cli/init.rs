//! `icefarm init`: everything that a farm for several people needs, in one folder.

mod certificates;

use super::args::InitArgs;
use super::{print, remark};
use crate::{exit, serve};
use certificates::{CertificateFault, Farm as Certificates};
use icefarm_control::store::{Batch, SqliteStore, Store, StoreError, TokenChange};
use icefarm_control::{TokenRefusal, make_token};
use icefarm_core::wire::{CreateToken, Role};
use icefarm_core::{Clock, SystemClock};
use icefarm_net::Token;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name of the database.
const DATABASE: &str = "farm.sqlite";

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{} is there already; nothing was written. Give another --dir, or move it away", path.display())]
    Exists { path: PathBuf },
    #[error(
        "two of the files would be called `{name}`; nothing was written. Name each host once with \
         --tls, and none `ca`"
    )]
    Twice { name: String },
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
}

/// The files that this run has made. They go if it does not get to its end, so that it can be tried
/// again.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    remark(&format!("{} is left over: {error}", path.display()));
                }
                _ => {}
            }
        }
    }
}

/// A file to write, and whether others may read it.
struct Planned {
    name: String,
    text: String,
    is_secret: bool,
}

pub(crate) fn main(args: &InitArgs) -> ExitCode {
    exit::of(run(args))
}

fn run(args: &InitArgs) -> Result<(), Fault> {
    let failed = |source| Fault::Write { path: args.dir.clone(), source };
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700).create(&args.dir).map_err(failed)?;
    let dir = args.dir.canonicalize().map_err(failed)?;
    let host = args.tls.first().cloned().unwrap_or_else(serve::host_name);
    let control = url_of(&host, args.listen, !args.tls.is_empty());

    let mut files = Vec::new();
    let token = |role, names: &[&str], label: &str| {
        let names = names.iter().filter_map(|name| name.parse().ok()).collect();
        let wanted = CreateToken { role, names, label: Some(label.to_owned()), expires_in_s: None };
        make_token(wanted, SystemClock.now(), &|| uuid::Uuid::new_v4().to_string())
    };
    let (operator, kept_operator) = token(Role::Operator, &[], "operator, by icefarm init")?;
    let (worker, kept_worker) = token(Role::Worker, &["*"], "workers, by icefarm init")?;
    let secret = |name: &str, token: &Token| Planned {
        name: name.to_owned(),
        text: format!("{}\n", token.as_str()),
        is_secret: true,
    };
    files.extend([secret("operator.token", &operator), secret("worker.token", &worker)]);
    if !args.tls.is_empty() {
        let made = Certificates::make(&args.tls)?;
        let plain = |name: String, text| Planned { name, text, is_secret: false };
        let hidden = |name: String, text| Planned { name, text, is_secret: true };
        files.push(plain("ca.pem".into(), made.ca));
        files.push(hidden("ca.key".into(), made.ca_key));
        for (name, certificate, key) in made.hosts {
            files.push(plain(format!("{name}.pem"), certificate));
            files.push(hidden(format!("{name}.key"), key));
        }
    }
    let text = configuration(&dir, args, &host, &control);
    files.push(Planned { name: "farm.toml".to_owned(), text, is_secret: false });

    let mut names = BTreeSet::from([DATABASE]);
    if let Some(twice) = files.iter().find(|file| !names.insert(&file.name)) {
        return Err(Fault::Twice { name: twice.name.clone() });
    }
    let database = dir.join(DATABASE);
    let paths = files.iter().map(|file| dir.join(&file.name)).chain([database.clone()]);
    if let Some(path) = paths.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(Fault::Exists { path });
    }
    // SQLite has files of its own beside the database as long as it is open.
    let beside = ["-wal", "-shm"].map(|end| dir.join(format!("{DATABASE}{end}")));
    let mut made = Made(beside.into_iter().chain([database.clone()]).collect());
    let mut store = SqliteStore::open(&database)?;
    let created = |kept| TokenChange::Created(Box::new(kept));
    let tokens = vec![created(kept_operator), created(kept_worker)];
    store.commit(&Batch { at: SystemClock.now(), tokens, ..Batch::default() })?;
    drop(store);
    for file in &files {
        write(&dir.join(&file.name), file, &mut made)?;
    }
    made.0.clear();
    print::line(&advice(&dir, args, &control, &worker));
    Ok(())
}

fn write(path: &Path, file: &Planned, made: &mut Made) -> Result<(), Fault> {
    let mode = if file.is_secret { 0o600 } else { 0o644 };
    let failed = |source| Fault::Write { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    // Not before it is this run's own.
    made.0.push(path.to_owned());
    out.write_all(file.text.as_bytes()).map_err(failed)
}

/// Where others reach control.
fn url_of(host: &str, listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    let host = if is_v6 { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{host}:{}", listen.port())
}

fn configuration(dir: &Path, args: &InitArgs, host: &str, control: &str) -> String {
    // A text in TOML, whatever is in it.
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let host = host.to_owned();
    let mut text = String::from(
        "# Made by `icefarm init`. Every key is a flag of the command.\n\n[control]\n",
    );
    // Writing to a text never fails.
    let _ = writeln!(text, "listen = \"{}\"", args.listen);
    let _ = writeln!(text, "db = {}", quoted(&dir.join(DATABASE)));
    if host.parse::<std::net::IpAddr>().is_err() {
        let _ = writeln!(text, "allow-host = [{}]", toml::Value::from(host.as_str()));
    }
    if !args.tls.is_empty() {
        let _ = writeln!(text, "tls-cert = {}", quoted(&dir.join(format!("{host}.pem"))));
        let _ = writeln!(text, "tls-key = {}", quoted(&dir.join(format!("{host}.key"))));
        let _ = writeln!(text, "ca = {}", quoted(&dir.join("ca.pem")));
    }
    let _ = writeln!(text, "\n[client]\ncontrol = \"{control}\"");
    let _ = writeln!(text, "token-file = {}", quoted(&dir.join("operator.token")));
    if !args.tls.is_empty() {
        let _ = writeln!(text, "ca = {}", quoted(&dir.join("ca.pem")));
    }
    text
}

fn advice(dir: &Path, args: &InitArgs, control: &str, worker: &Token) -> String {
    let shown = dir.display();
    let config = dir.join("farm.toml");
    let config = config.display();
    let ca = if args.tls.is_empty() { "" } else { " --ca ca.pem" };
    let copy = match args.tls.as_slice() {
        [] => String::new(),
        [_] => "\n(first copy ca.pem there)".to_owned(),
        [_, more @ ..] => format!(
            "\n(first copy ca.pem there, and the host's own certificate and key: {}; then add\n \
             --tls-cert NAME.pem --tls-key NAME.key --advertise https://NAME:8081)",
            more.join(", ")
        ),
    };
    let unsafe_network = if args.tls.is_empty() {
        "\n\nTokens travel unencrypted. On a network that others can listen to say --tls NAME."
    } else {
        ""
    };
    format!(
        "The farm is set up in {shown}. Tokens are shown only here; operator.token and worker.token\n\
         hold them, for you alone.\n\n\
         1. Start the control server on this host:\n\n  \
         icefarm control --config {config}\n\n\
         2. Paste this on each host with boards{copy}:\n\n  \
         (umask 077; echo {token} > worker.token); icefarm worker --control {control} \
         --token-file worker.token{ca} --listen 0.0.0.0:8081 --sim 4\n\n\
         3. Make a token for each user, and give it to them:\n\n  \
         icefarm token create --role client --names 'alice-*' --config {config}\n\n   \
         The user says:\n\n  \
         icefarm login {control}{ca}{unsafe_network}",
        token = worker.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(tls: &[&str]) -> InitArgs {
        InitArgs {
            dir: PathBuf::from("."),
            tls: tls.iter().map(|name| (*name).to_owned()).collect(),
            listen: ([0, 0, 0, 0], 8443).into(),
        }
    }

    #[test]
    fn the_configuration_is_toml_whatever_the_folder_is_called() {
        let dir = Path::new("/a \"b\"\\c");
        let text = configuration(dir, &args(&["farm"]), "farm", "https://farm:8443");
        let read: toml::Table = toml::from_str(&text).unwrap();
        let db = read["control"]["db"].as_str().unwrap();
        assert_eq!(Path::new(db), dir.join("farm.sqlite"));
        assert_eq!(read["control"]["allow-host"][0].as_str(), Some("farm"));
        assert_eq!(read["client"]["control"].as_str(), Some("https://farm:8443"));
        let text = configuration(dir, &args(&[]), "10.0.0.7", "http://10.0.0.7:8443");
        assert!(!text.contains("allow-host") && !text.contains("tls"), "{text}");
    }

    #[test]
    fn control_is_reached_under_its_name() {
        let listen = ([0, 0, 0, 0], 8080).into();
        assert_eq!(url_of("fd00::1", listen, true), "https://[fd00::1]:8080");
        assert_eq!(url_of("farm", listen, false), "http://farm:8080");
    }
}
