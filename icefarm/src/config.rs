//! Settings by file: what a TOML file says becomes the default of the flag of the same name, so
//! that a flag, its `ICEFARM_*` variable and the file are checked and explained alike.

use clap::builder::{BoolishValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Why the settings of a file were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML, or not of tables.
    #[error("the configuration {} is not understood: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The file has a section that no command reads.
    #[error("{}: there is no section [{section}]; sections: {known}", path.display())]
    UnknownSection {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// All sections.
        known: String,
    },
    /// A section has a key that is no flag of its command.
    #[error("{}: [{section}] has no key `{key}`; keys: {known}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// The key.
        key: String,
        /// All keys of the section.
        known: String,
    },
    /// A value is not what its flag takes.
    #[error("{}: `{key}` in [{section}]: {reason}", path.display())]
    InvalidValue {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// The key.
        key: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A value is a table, or something else that no flag can be.
    #[error("{}: `{key}` in [{section}] must be a text, a number, true or false, or a list of these", path.display())]
    WrongValue {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// The key.
        key: String,
    },
}

/// The section that gives defaults to every command that talks to a farm as a client.
pub const CLIENT_SECTION: &str = "client";

/// Which file was asked for: `--config FILE` before everything else, then `ICEFARM_CONFIG`.
#[must_use]
pub fn requested(args: &[OsString]) -> Option<PathBuf> {
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            break;
        }
        if text == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("ICEFARM_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

type Section = BTreeMap<String, toml::Value>;

/// Makes the settings of the file `path` the defaults of `command`'s subcommands.
///
/// # Errors
/// [`ConfigError`] names the file, and the section and key that do not fit.
pub fn apply(mut command: Command, path: &Path) -> Result<Command, ConfigError> {
    let sections = load(path)?;
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for section in sections.keys() {
        if section != CLIENT_SECTION && !names.contains(section) {
            let known = names.iter().map(String::as_str).chain([CLIENT_SECTION]);
            return Err(ConfigError::UnknownSection {
                path: path.to_owned(),
                section: section.clone(),
                known: known.collect::<Vec<_>>().join(", "),
            });
        }
    }
    if let Some(shared) = sections.get(CLIENT_SECTION) {
        let whole = command.clone();
        for name in names.iter().filter(|name| is_client(&whole, name)) {
            command = apply_section(command, name, CLIENT_SECTION, shared, path)?;
        }
    }
    for (section, values) in &sections {
        if section != CLIENT_SECTION {
            command = apply_section(command, section, section, values, path)?;
        }
    }
    Ok(command)
}

/// Makes one section's settings the defaults of `command` itself, for a program of one role.
///
/// # Errors
/// As [`apply`].
pub fn apply_to_role(command: Command, section: &str, path: &Path) -> Result<Command, ConfigError> {
    match load(path)?.get(section) {
        Some(values) => set_defaults(command, section, values, path),
        None => Ok(command),
    }
}

fn load(path: &Path) -> Result<BTreeMap<String, Section>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })
}

/// Commands with `--control` and `--name` but without boards of their own are clients.
fn is_client(command: &Command, name: &str) -> bool {
    command.find_subcommand(name).is_some_and(|sub| {
        let has = |id: &str| sub.get_arguments().any(|arg| arg.get_id() == id);
        has("control") && has("client_name")
    })
}

fn apply_section(
    command: Command,
    subcommand: &str,
    section: &str,
    values: &Section,
    path: &Path,
) -> Result<Command, ConfigError> {
    let mut fault = None;
    let command = command.mut_subcommand(subcommand, |sub| {
        match set_defaults(sub.clone(), section, values, path) {
            Ok(changed) => changed,
            Err(error) => {
                fault = Some(error);
                sub
            }
        }
    });
    fault.map_or(Ok(command), Err)
}

fn set_defaults(
    mut command: Command,
    section: &str,
    values: &Section,
    path: &Path,
) -> Result<Command, ConfigError> {
    for (key, value) in values {
        let known: Vec<(String, String, bool)> = command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version))
            .filter_map(|arg| {
                let many = matches!(arg.get_action(), ArgAction::Append);
                Some((arg.get_long()?.to_owned(), arg.get_id().to_string(), many))
            })
            .filter(|(long, ..)| long != "config")
            .collect();
        let wrong = || ConfigError::WrongValue {
            path: path.to_owned(),
            section: section.to_owned(),
            key: key.clone(),
        };
        let Some((_, id, many)) =
            known.iter().find(|(long, ..)| *long == *key || long.replace('-', "_") == *key)
        else {
            // `[client]` is shared: a command takes of it what it has a flag for.
            if section == CLIENT_SECTION {
                continue;
            }
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                section: section.to_owned(),
                key: key.clone(),
                known: known.iter().map(|(long, ..)| long.as_str()).collect::<Vec<_>>().join(", "),
            });
        };
        let reads_many = *many;
        let texts = match value {
            toml::Value::Array(list) if reads_many => {
                list.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(wrong)?
            }
            other => vec![scalar(other).ok_or_else(wrong)?],
        };
        for text in &texts {
            check(&command, id, text).map_err(|reason| ConfigError::InvalidValue {
                path: path.to_owned(),
                section: section.to_owned(),
                key: key.clone(),
                reason,
            })?;
        }
        command = command.mut_arg(id, |arg| arg.required(false).default_values(texts));
    }
    Ok(command)
}

/// Whether the argument `id` takes this text; else why not.
fn check(command: &Command, id: &str, text: &str) -> Result<(), String> {
    let Some(arg) = command.get_arguments().find(|arg| arg.get_id() == id) else { return Ok(()) };
    if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
        let is_bool = BoolishValueParser::new().parse_ref(command, None, OsStr::new(text));
        return is_bool.map(drop).map_err(|_| format!("`{text}` is neither true nor false"));
    }
    let Some(long) = arg.get_long() else { return Ok(()) };
    // Values are read before anything else is missed, so only a fault of this one counts.
    let words = [command.get_name().to_owned(), format!("--{long}={text}")];
    match command.clone().try_get_matches_from(words) {
        Err(error) if about(&error) == Some(long) && is_value_fault(&error) => Err(fault(&error)),
        _ => Ok(()),
    }
}

/// The long flag that clap complains about.
fn about(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(arg) => arg.strip_prefix("--")?.split([' ', '=', '[']).next(),
        _ => None,
    }
}

fn is_value_fault(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue)
}

/// What clap says of a value, in one line without its advice.
fn fault(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let values = text.lines().find_map(|line| line.trim().strip_prefix("[possible values:"));
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match values {
        Some(values) => format!("{line} ({})", values.trim_end_matches(']').trim()),
        None => line.to_owned(),
    }
}

/// Where a value comes from that clap complains about, if it is not from the command line.
#[must_use]
pub fn origin(error: &clap::Error, command: &Command, args: &[OsString]) -> Option<String> {
    let long = about(error).filter(|_| is_value_fault(error))?;
    let is_said = args.iter().take_while(|arg| *arg != "--").any(|arg| {
        let said = arg.to_str().and_then(|text| text.strip_prefix("--"));
        said.is_some_and(|said| said == long || said.split('=').next() == Some(long))
    });
    if is_said {
        return None;
    }
    let named = |command: &Command| {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        Some(arg.get_env()?.to_str()?.to_owned())
    };
    let texts = || args.iter().skip(1).filter_map(|arg| arg.to_str());
    let sub = texts().find_map(|text| command.find_subcommand(text));
    let variable = sub.and_then(named).or_else(|| named(command))?;
    std::env::var_os(&variable)?;
    Some(format!("This value comes from the variable {variable}."))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;
    use std::io::Write;

    fn command() -> Command {
        Command::new("icefarm")
            .subcommand(
                Command::new("worker")
                    .arg(Arg::new("listen").long("listen").default_value("127.0.0.1:8081"))
                    .arg(Arg::new("sim_serial").long("sim-serial").action(ArgAction::Append))
                    .arg(
                        Arg::new("boards")
                            .long("boards")
                            .value_parser(clap::value_parser!(u32))
                            .env("ICEFARM_TEST_NOWHERE"),
                    )
                    .arg(Arg::new("insecure").long("insecure").action(ArgAction::SetTrue)),
            )
            .subcommand(
                Command::new("devices")
                    .arg(Arg::new("control").long("control"))
                    .arg(Arg::new("client_name").long("name")),
            )
    }

    fn with_file(text: &str, args: &[&str]) -> Result<clap::ArgMatches, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let command = apply(command(), file.path())?;
        Ok(command.try_get_matches_from(args).unwrap())
    }

    #[test]
    fn a_file_gives_defaults_and_flags_win() {
        let text =
            "[worker]\nlisten = \"127.0.0.1:9\"\nsim-serial = [\"A\", \"B\"]\ninsecure = true";
        let matches = with_file(text, &["icefarm", "worker"]).unwrap();
        let worker = matches.subcommand_matches("worker").unwrap();
        assert_eq!(worker.get_one::<String>("listen").unwrap(), "127.0.0.1:9");
        let serials: Vec<&String> = worker.get_many("sim_serial").unwrap().collect();
        assert_eq!(serials, ["A", "B"]);
        assert!(worker.get_flag("insecure"));

        let matches = with_file(text, &["icefarm", "worker", "--listen", "x:1"]).unwrap();
        let worker = matches.subcommand_matches("worker").unwrap();
        assert_eq!(worker.get_one::<String>("listen").unwrap(), "x:1");
    }

    #[test]
    fn the_client_section_serves_every_client_command() {
        let matches =
            with_file("[client]\nname = \"alice\"\nkind = \"x\"", &["icefarm", "devices"]).unwrap();
        let devices = matches.subcommand_matches("devices").unwrap();
        assert_eq!(devices.get_one::<String>("client_name").unwrap(), "alice");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = with_file("[wroker]\nx = 1", &["icefarm", "worker"]).unwrap_err();
        assert!(
            error.to_string().ends_with("no section [wroker]; sections: worker, devices, client")
        );
        let error = with_file("[worker]\nlsten = 1", &["icefarm", "worker"]).unwrap_err();
        assert!(error.to_string().contains("[worker] has no key `lsten`; keys: listen"));
        let error = with_file("[worker]\nlisten = [1]", &["icefarm", "worker"]).unwrap_err();
        assert!(matches!(error, ConfigError::WrongValue { .. }));
        let error = with_file("[worker]\nlisten = 7\ninsecure = \"maybe\"", &["icefarm"]);
        let text = error.unwrap_err().to_string();
        assert!(
            text.ends_with("`insecure` in [worker]: `maybe` is neither true nor false"),
            "{text}"
        );
        let error = with_file("[worker]\nboards = \"many\"", &["icefarm", "worker"]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("`boards` in [worker]: invalid value 'many'"), "{text}");
        let error = with_file("[worker", &["icefarm", "worker"]).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { .. }));
    }

    #[test]
    fn the_file_is_found_in_either_form() {
        let args = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(requested(&args(&["i", "--config", "a"])), Some("a".into()));
        assert_eq!(requested(&args(&["i", "worker", "--config=b"])), Some("b".into()));
    }
}
