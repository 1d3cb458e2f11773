//! The two attributes of a plug-in, documented where their examples can run.

/// Makes a state reservable, and its methods callable.
///
/// It goes above the `impl` block that has the constructor `new`, and takes the kind by which
/// clients reserve the state, then the keys of `args` in the order of the constructor's
/// parameters after the device. Methods under [`#[register]`](macro@register) in the same block
/// become commands.
///
/// ```
/// use icefarm_core::{Blob, Device, Json, Registry, State, register, reservable};
///
/// pub struct Counter {
///     device: Device,
///     seconds: u32,
/// }
///
/// #[derive(serde::Serialize)]
/// pub struct Reading {
///     bytes: usize,
///     seconds: u32,
/// }
///
/// #[reservable("counter", "seconds", "label")]
/// impl Counter {
///     fn new(device: Device, seconds: u32, label: Option<String>) -> Result<Self, String> {
///         if seconds == 0 {
///             return Err("seconds must not be 0".into());
///         }
///         device.emit("greeting", [("label", label)].into_iter().collect::<icefarm_core::Value>());
///         Ok(Self { device, seconds })
///     }
///
///     #[register("evaluate", "circuit")]
///     async fn evaluate(&mut self, circuit: Blob) -> Json<Reading> {
///         Json(Reading { bytes: circuit.len(), seconds: self.seconds })
///     }
/// }
///
/// impl State for Counter {}
///
/// let registry = Registry::collect().unwrap();
/// let wrong = [("second".to_owned(), 3.into())].into();
/// assert_eq!(
///     registry.check_args("counter", &wrong).unwrap_err().to_string(),
///     "argument `second` is not known; known arguments: seconds, label",
/// );
/// ```
///
/// - The constructor returns the state or a `Result` of it. It is not `async`: what takes time
///   goes into [`State::start`](crate::State::start).
/// - Arguments are of any type that is `serde::Deserialize` and owned; a file is a
///   [`Blob`](crate::Blob). A key may be absent if its type is an `Option`. Missing, wrong and
///   left-over keys refuse the reservation, before a board is leased where that is possible.
/// - A type has one such block. Further methods and traits go into blocks of their own.
/// - `crate = path`, as the last argument, says where icefarm-core is if not at `::icefarm_core`:
///   `#[reservable("counter", "seconds", crate = farm::core)]`.
///
/// The kind is there in every program that names the crate, if only with `use that_crate as _;`.
/// The type also becomes [`Registered`](crate::Registered), so that a
/// [`RegistryBuilder`](crate::RegistryBuilder) can take it.
pub use icefarm_macros::reservable;

/// Makes methods callable by name: a state's commands, or a client's event handlers.
///
/// Above a method it takes the name of the command or event, then the keys in the order of the
/// parameters. Above the `impl` block it takes nothing and gathers these methods; above a block
/// that is [`#[reservable]`](macro@reservable) it is not needed.
///
/// ```
/// use icefarm_core::{Object, Registered, Serial, register};
///
/// #[derive(Default)]
/// struct Printer {
///     lines: Vec<String>,
/// }
///
/// #[register]
/// impl Printer {
///     #[register("results", "data", "serial")]
///     fn print_results(&mut self, data: Vec<u32>, serial: Serial) {
///         self.lines.push(format!("{serial} read {data:?}"));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut printer = Printer::default();
/// let contents = Object::from([("data".into(), vec![1999, 2000].into())]);
/// let serial = Serial::new("E461").unwrap();
/// Printer::REGISTRATION.dispatch(&mut printer, "results", contents, &serial).await.unwrap();
/// assert_eq!(printer.lines, ["E461 read [1999, 2000]"]);
/// # }
/// ```
///
/// - Methods take `&mut self` or `&self` and may be `async`. A method may answer to several names,
///   each with an attribute of its own.
/// - They return what is a [`Reply`](crate::Reply): `()`, [`Value`](crate::Value),
///   [`Json`](crate::Json), [`Blob`](crate::Blob), numbers, text, or a `Result` of these. To the
///   client an error is one that names the command.
/// - Arguments are as for [`#[reservable]`](macro@reservable). Commands refuse left-over keys,
///   event handlers ignore them, and a handler's key `serial` is the board that the event is from.
/// - `#[register(crate = path)]` above the block says where icefarm-core is, if not at
///   `::icefarm_core`.
pub use icefarm_macros::register;
