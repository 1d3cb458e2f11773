//! From an attribute in one place to a call by name in another.

use crate::device::{device, noting};
use crate::user_crate::{Anything, Greeter, Idle, Printer};
use icefarm_core::{
    ArgError, BuildError, Device, KindInfo, Object, Registered, Registry, RegistryError, Serial,
    State, Value, plugins, register, reservable,
};
use serde_json::json;

fn object(json: serde_json::Value) -> Object {
    Value::from(json).into_object().unwrap()
}

fn registry() -> Registry {
    Registry::builder().with::<Greeter>().with::<Idle>().build().unwrap()
}

#[test]
fn what_is_linked_is_found() {
    // Kinds are looked at in the order of the source, and the twins below come first.
    let error = Registry::collect().unwrap_err();
    assert!(matches!(error, RegistryError::DuplicateKind { .. }), "{error}");
    assert!(plugins().iter().any(|plugin| plugin.name == env!("CARGO_PKG_NAME")));
    assert!(plugins().is_sorted());
}

#[test]
fn kinds_are_told_with_their_crate_and_arguments() {
    let infos = registry().kind_infos();
    let json = serde_json::to_value(&infos).unwrap();
    assert_eq!(
        json,
        json!([
            {
                "kind": "greeter",
                "crate": "icefarm-core",
                "version": env!("CARGO_PKG_VERSION"),
                "args": [
                    {"key": "message", "optional": false, "type": "text"},
                    // Behind an alias.
                    {"key": "label", "optional": true, "type": "text"},
                ],
            },
            {"kind": "idle", "crate": "icefarm-core", "version": env!("CARGO_PKG_VERSION"), "args": []},
        ])
    );
    assert_eq!(serde_json::from_value::<Vec<KindInfo>>(json).unwrap(), infos);

    let greeter = &infos[0];
    greeter.check_args(&object(json!({"message": "3", "label": null}))).unwrap();
    let wrong = greeter.check_args(&object(json!({"message": 3}))).unwrap_err().to_string();
    assert_eq!(wrong, "argument `message`: invalid type: integer `3`, expected a text");
    assert!(matches!(greeter.check_args(&Object::new()), Err(ArgError::Missing { .. })));
}

#[test]
fn a_kind_that_is_not_linked_is_missed() {
    registry().require(["idle", "greeter"]).unwrap();
    assert_eq!(
        registry().require(["pulsecount"]).unwrap_err().to_string(),
        "kind `pulsecount` is not linked: add `use <the crate that has it> as _;` to main.rs \
         (linked kinds: greeter, idle)"
    );
}

#[test]
fn a_state_is_built_or_the_fault_is_named() {
    let build = |kind, args| registry().build(kind, device(), object(args)).map(drop);
    let error = |kind, args| build(kind, args).unwrap_err().to_string();

    build("greeter", json!({"message": "hello"})).unwrap();
    build("greeter", json!({"message": "hello", "label": null})).unwrap();
    assert_eq!(
        error("greter", json!({})),
        "kind `greter` is not known here; known kinds: greeter, idle"
    );
    assert_eq!(
        error("greeter", json!({"mesage": "hello"})),
        "argument `mesage` is not known; known arguments: message, label"
    );
    assert_eq!(
        error("greeter", json!({"label": "x"})),
        "argument `message` is missing; known arguments: message, label"
    );
    assert_eq!(
        error("greeter", json!({"message": 3})),
        "argument `message`: invalid type: integer `3`, expected a string"
    );
    assert_eq!(
        error("idle", json!({"a": 1, "b": 2})),
        "arguments `a`, `b` are not known; there are no arguments"
    );
    let refused = build("greeter", json!({"message": ""})).unwrap_err();
    assert!(matches!(refused, BuildError::Refused(_)), "{refused}");

    let check = |args| registry().check_args("greeter", &object(args));
    check(json!({"message": ""})).unwrap();
    assert!(matches!(check(json!({})), Err(BuildError::Args(ArgError::Missing { .. }))));
    assert!(matches!(
        registry().check_args("nope", &Object::new()),
        Err(BuildError::UnknownKind { .. })
    ));
}

async fn call(event: &str, args: serde_json::Value) -> Result<serde_json::Value, String> {
    let registry = registry();
    let mut state = registry
        .build("greeter", device(), object(json!({"message": "12", "label": "x"})))
        .unwrap();
    let reply = registry.call(state.as_any_mut(), event, object(args)).await;
    reply.map(Into::into).map_err(|error| error.to_string())
}

#[tokio::test]
async fn commands_are_called_by_name() {
    let window = json!({"from": 1, "to": 4});
    assert_eq!(call("window", json!({"window": window, "value 1": 0.5})).await, Ok(json!(1.5)));
    assert_eq!(call("window", json!({"window": window})).await, Ok(json!(3.0)));
    let file = json!({"base64": "AQID"});
    assert_eq!(call("reverse", json!({"file": file})).await, Ok(json!({"base64": "AwIB"})));
    assert_eq!(call("turn", json!({"file": file})).await, Ok(json!({"base64": "AwIB"})));
    assert_eq!(call("read", json!({})).await, Ok(json!({"pulses": 12})));
    assert_eq!(call("label", json!({})).await, Ok(json!("x")));

    assert_eq!(
        call("nope", json!({})).await.unwrap_err(),
        "`nope` is not known; known: getdata, window, reverse, turn, read, label"
    );
    assert_eq!(
        call("getdata", json!({"data": "x", "date": 1})).await.unwrap_err(),
        "argument `date` is not known; known arguments: data"
    );
    assert_eq!(
        call("window", json!({"window": {"from": 1, "to": "x"}})).await.unwrap_err(),
        "argument `window`: `to`: invalid type: string \"x\", expected u32"
    );
}

#[tokio::test]
async fn a_command_reaches_the_state_and_its_event_a_handler() {
    let registry = registry();
    let (host, device) = noting();
    let args = object(json!({"message": "hello"}));
    let mut state = registry.build("greeter", device, args).unwrap();
    let reply = registry.call(state.as_any_mut(), "getdata", object(json!({"data": "you"}))).await;
    assert_eq!(reply.unwrap(), Value::Null);

    let mut printer = Printer::default();
    let serial = Serial::new("S1").unwrap();
    for (event, mut contents) in host.emitted() {
        contents.insert("from_a_newer_worker".into(), 1.into());
        assert!(Printer::REGISTRATION.handles(&event));
        Printer::REGISTRATION.dispatch(&mut printer, &event, contents, &serial).await.unwrap();
    }
    assert_eq!(printer.printed, ["S1: hello you"]);
}

#[tokio::test]
async fn handlers_report_what_they_cannot_take() {
    let mut printer = Printer::default();
    let serial = Serial::new("S1").unwrap();
    let registration = Printer::REGISTRATION;
    let events: Vec<_> = registration.methods().iter().map(icefarm_core::Method::event).collect();
    assert_eq!(events, ["results", "failure"]);

    let mut error = async |event: &str, contents| {
        let dispatch = registration.dispatch(&mut printer, event, object(contents), &serial);
        dispatch.await.unwrap_err().to_string()
    };
    assert_eq!(
        error("results", json!({"date": 1})).await,
        "argument `data` is missing; known arguments: data, serial"
    );
    assert_eq!(error("failure", json!({"reason": "as asked"})).await, "as asked");
    assert_eq!(error("other", json!({})).await, "`other` is not known; known: results, failure");

    // Anything is a value, but nothing is not.
    let mut anything = Anything::default();
    let dispatch =
        Anything::REGISTRATION.dispatch(&mut anything, "anything", Object::new(), &serial);
    assert!(dispatch.await.is_err());
    let null = object(json!({"value": null}));
    Anything::REGISTRATION.dispatch(&mut anything, "anything", null, &serial).await.unwrap();
    assert_eq!(anything.0["value"], Value::Null);
}

mod twins {
    use super::*;

    pub(super) struct First;
    #[reservable("twin")]
    impl First {
        fn new(_device: Device) -> Self {
            Self
        }
    }
    impl State for First {}

    pub(super) struct Second;
    #[reservable("twin")]
    impl Second {
        fn new(_device: Device) -> Self {
            Self
        }
    }
    impl State for Second {}
}

#[test]
fn a_kind_registered_twice_is_refused_with_both_places() {
    let places = [twins::First::REGISTRATION.place(), twins::Second::REGISTRATION.place()];
    let [first, second] = places.map(|place| place.to_string());
    let file = file!();
    assert!(first.starts_with(&format!("{file}:")), "{first}");
    assert!(first.ends_with(&format!("(icefarm-core {})", env!("CARGO_PKG_VERSION"))), "{first}");

    let expected = format!("kind `twin` is registered twice: {first} and {second}");
    for registry in [
        Registry::builder().with::<twins::First>().with::<twins::Second>(),
        Registry::builder().with::<twins::Second>().with::<twins::First>(),
    ] {
        assert_eq!(registry.build().unwrap_err().to_string(), expected);
    }
    assert_eq!(Registry::collect().unwrap_err().to_string(), expected);
}

#[test]
fn a_type_given_twice_is_one() {
    let registry = Registry::builder().with::<Idle>().with::<Idle>().build().unwrap();
    assert_eq!(registry.kinds().count(), 1);
}

#[test]
fn an_event_registered_twice_is_refused_with_both_methods() {
    struct Torn;
    #[register]
    impl Torn {
        #[cfg(not(target_os = "none"))]
        #[register("results")]
        fn one(&mut self) {}

        #[cfg(not(target_os = "uefi"))]
        #[register("results")]
        fn other(&mut self) {}
    }

    let error = Registry::builder().with::<Torn>().build().unwrap_err();
    assert!(matches!(
        error,
        RegistryError::DuplicateEvent { event: "results", first: "one", second: "other", .. }
    ));
}
