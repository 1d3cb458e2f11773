//! Values through formats and types, and back.

use icefarm_core::{Blob, Object, Value, to_value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Blob::from(bytes).into()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(".{0,8}", inner, 0..6).prop_map(Value::Object),
        ]
    })
}

/// A value as it is after a journey through JSON.
fn in_json(value: Value) -> Value {
    match value {
        Value::Bytes(_) => Value::from(json!({
            "base64": serde_json::to_value(&value).unwrap()["base64"],
        })),
        Value::Array(items) => items.into_iter().map(in_json).collect(),
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, in_json(value))).collect()
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn message_pack_keeps_everything(value in values()) {
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap(), value);
    }

    #[test]
    fn json_keeps_everything_but_the_form_of_bytes(value in values()) {
        let text = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &in_json(value.clone()));
        let converted = Value::from(serde_json::Value::from(value));
        prop_assert_eq!(back, converted);
    }

    #[test]
    fn a_value_is_decoded_and_made_without_change(value in values()) {
        prop_assert_eq!(&Value::deserialize(value.clone()).unwrap(), &value);
        prop_assert_eq!(&to_value(&value).unwrap(), &value);
    }

    #[test]
    fn a_file_is_one_in_every_form(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let blob = Blob::from(bytes.clone());
        let value = to_value(&blob).unwrap();
        prop_assert!(matches!(value, Value::Bytes(_)));
        let in_json = Value::from(serde_json::to_value(&blob).unwrap());
        let packed = rmp_serde::to_vec(&blob).unwrap();
        // A map in MessagePack, from a client that converted its JSON.
        let packed_map = rmp_serde::to_vec(&in_json).unwrap();
        for read in [
            Blob::deserialize(value.clone()).unwrap(),
            Blob::deserialize(in_json.clone()).unwrap(),
            serde_json::from_str(&serde_json::to_string(&blob).unwrap()).unwrap(),
            rmp_serde::from_slice(&packed).unwrap(),
            rmp_serde::from_slice(&packed_map).unwrap(),
            value.to_blob().unwrap(),
            in_json.to_blob().unwrap(),
            bytes::Bytes::deserialize(in_json).unwrap().into(),
        ] {
            prop_assert_eq!(&read[..], &bytes[..]);
        }
    }
}

/// Every shape that serde knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    pair: (i8, u16),
    text: String,
    letter: char,
    some: Option<f32>,
    none: Option<f32>,
    wide: i128,
    file: Blob,
    list: Vec<Shape>,
    by_number: BTreeMap<u16, bool>,
    by_shape: BTreeMap<Plain, u64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u64),
    Tuple(u8, String),
    Struct { file: Blob },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Plain {
    A,
    B,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    File(Blob),
}

#[test]
fn all_types_are_made_and_decoded() {
    let everything = Everything {
        unit: (),
        pair: (-1, 2),
        text: "ice".into(),
        letter: 'ü',
        some: Some(0.5),
        none: None,
        wide: u64::MAX.into(),
        file: vec![1, 2].into(),
        list: vec![
            Shape::Unit,
            Shape::Newtype(u64::MAX),
            Shape::Tuple(1, "a".into()),
            Shape::Struct { file: vec![3].into() },
        ],
        by_number: BTreeMap::from([(7, true)]),
        by_shape: BTreeMap::from([(Plain::A, 1), (Plain::B, 2)]),
        rest: BTreeMap::from([
            ("number".into(), Untagged::Number(3)),
            ("other".into(), Untagged::File(vec![0xff].into())),
        ]),
    };
    let value = to_value(&everything).unwrap();
    let in_a_variant = &value.get("list").unwrap().as_array().unwrap()[3];
    assert!(matches!(in_a_variant.get("Struct").unwrap().get("file"), Some(Value::Bytes(_))));
    assert_eq!(Everything::deserialize(value.clone()).unwrap(), everything);
    // The same through JSON, where files have their other form.
    let in_json = Value::from(serde_json::Value::from(value.clone()));
    assert_eq!(Everything::deserialize(in_json).unwrap(), everything);
    assert_eq!(
        serde_json::Value::from(value),
        serde_json::to_value(&everything).unwrap(),
        "to_value and serde_json agree"
    );
}

fn error<'de, T: Deserialize<'de>>(json: serde_json::Value) -> String {
    T::deserialize(Value::from(json)).map(drop).unwrap_err().to_string()
}

#[test]
fn errors_say_where_and_what_was_expected() {
    assert_eq!(error::<String>(json!(3)), "invalid type: integer `3`, expected a string");
    assert_eq!(error::<u8>(json!(null)), "invalid type: null, expected u8");
    assert_eq!(error::<u8>(json!(256)), "invalid value: integer `256`, expected u8");
    assert_eq!(
        error::<BTreeMap<String, Vec<Shape>>>(json!({"a": ["Unit", {"Tuple": [1, 2]}]})),
        "`a[1].Tuple[1]`: invalid type: integer `2`, expected a string"
    );
    assert_eq!(
        error::<Shape>(json!("Sphere")),
        "unknown variant `Sphere`, expected one of `Unit`, `Newtype`, `Tuple`, `Struct`"
    );
    assert_eq!(error::<(u8, u8)>(json!([1])), "invalid length 1, expected a tuple of size 2");
    assert_eq!(error::<(u8, u8)>(json!([1, 2, 3])), "invalid length 3, expected 2 items");
    assert_eq!(
        error::<Blob>(json!({"base64": "?"})),
        "the file is not valid base64: Invalid symbol 63, offset 0."
    );
    assert_eq!(error::<Blob>(json!({"base32": "A"})), "unknown field `base32`, expected `base64`");
    assert_eq!(error::<Blob>(json!({})), "missing field `base64`");
    assert_eq!(
        error::<Blob>(json!("text")),
        r#"invalid type: string "text", expected a file: bytes, or {"base64": ".."}"#
    );
}

#[test]
fn numbers_beyond_64_bits_are_refused() {
    for wide in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1] {
        assert_eq!(
            to_value(&wide).unwrap_err().to_string(),
            "a whole number must lie between -2^63 and 2^64 - 1"
        );
    }
    assert!(to_value(&u128::MAX).is_err());
    assert_eq!(to_value(&i128::from(u64::MAX)).unwrap(), Value::U64(u64::MAX));
}

#[test]
fn equal_numbers_are_equal_in_either_variant() {
    assert_eq!(Value::I64(3), Value::U64(3));
    assert_ne!(Value::I64(-1), Value::U64(u64::MAX));
    assert_ne!(Value::I64(3), Value::F64(3.0));
    assert_eq!(Value::U64(3).as_i64(), Some(3));
    assert_eq!(Value::U64(u64::MAX).as_i64(), None);
    assert_eq!(Value::I64(-3).as_u64(), None);
    assert_eq!(Value::I64(-3).as_f64(), Some(-3.0));
}

#[test]
fn values_are_built_from_what_is_at_hand() {
    let value = Value::from_iter([("a", Value::from(vec![1, 2])), ("b", None::<bool>.into())]);
    assert_eq!(value, Value::from(json!({"a": [1, 2], "b": null})));
    assert_eq!(format!("{value:?}"), r#"{"a": [1, 2], "b": null}"#);
    assert_eq!(format!("{:?}", Value::from(Blob::from(vec![0; 104_090]))), "<104090 bytes>");
    assert_eq!(Value::from(Object::new()), Value::from(json!({})));
}

#[test]
fn nesting_without_end_is_refused() {
    // Lists of one list each: 0x91 in MessagePack, whose reader alone would run out of stack.
    let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
    let read = |packed: Vec<u8>| rmp_serde::from_slice::<Value>(&packed);
    assert!(read(nested(128)).is_ok());
    let error = read(nested(129)).unwrap_err();
    assert!(error.to_string().contains("nested more than 128 levels deep"), "{error}");
    assert!(read(nested(1_000_000)).is_err());
    assert!(serde_json::from_str::<Value>(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn a_number_keeps_its_last_digit_in_json() {
    let number = -1.409464853703614e258;
    let text = serde_json::to_string(&Value::from(number)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap().as_f64(), Some(number));
}
