use super::*;
use icefarm_core::wire::{ClientFrame, Event, Position, ServerFrame};
use icefarm_core::{LeaseId, Serial};
use proptest::prelude::*;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

fn limits() -> CodecLimits {
    CodecLimits::default()
}

fn packed(value: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(value).unwrap().into()
}

fn refused(bytes: impl Into<Bytes>, encoding: Encoding, limits: &CodecLimits) -> String {
    decode_value(&bytes.into(), encoding, limits).unwrap_err().to_string()
}

fn command(contents: Object) -> ClientFrame {
    let serials = vec![Serial::new("A").unwrap(), Serial::new("B").unwrap()];
    let leases = serials.iter().cloned().zip((3..).map(LeaseId)).collect();
    ClientFrame { serials, event: "evaluate".into(), contents, id: Some("7".into()), leases }
}

/// Looks like a bitstream: long, and mostly zeros.
fn circuit() -> Bytes {
    (0..104_090_u32).map(|i| if i % 97 == 0 { (i / 97) as u8 } else { 0 }).collect()
}

#[test]
fn frames_come_back_in_both_encodings() {
    let frame = command(Object::from([("n".into(), Value::from(3))]));
    let events = vec![Event::new("results").with("data", "hello!"), Event::new("failure")];
    let mut answer = ServerFrame::new("S", events);
    answer.epoch = Some("e".into());
    answer.seq = Some(u64::MAX);
    let position = Position { epoch: "e".into(), seq: 17 };
    for encoding in BOTH {
        let bytes = encode_client(&frame, encoding).unwrap();
        let read = decode_client(&bytes, encoding, &limits()).unwrap();
        assert_eq!(read, ClientMessage::Command(frame.clone()));
        let bytes = encode_server(&answer, encoding).unwrap();
        assert_eq!(decode_server(&bytes, encoding, &limits()).unwrap(), answer);
        let bytes = encode_ack(&position, encoding).unwrap();
        let read = decode_client(&bytes, encoding, &limits()).unwrap();
        assert_eq!(read, ClientMessage::Ack(position.clone()));
    }
}

#[test]
fn a_frame_gets_its_number_where_it_is_written() {
    let frame = ServerFrame::new("S", vec![Event::new("results").with("file", circuit())]);
    for encoding in BOTH {
        let plain = encode_numbered(&frame, None, encoding).unwrap();
        assert_eq!(plain, encode_server(&frame, encoding).unwrap());
        let bytes = encode_numbered(&frame, Some((&"e".into(), 5)), encoding).unwrap();
        let read = decode_server(&bytes, encoding, &limits()).unwrap();
        assert_eq!((read.epoch, read.seq), (Some("e".into()), Some(5)));
        assert_eq!(read.contents[0].fields["file"].to_blob().unwrap()[..], circuit()[..]);
    }
}

#[test]
fn a_python_request_is_read_literally() {
    // As captured: map 3, serial in a list, str8 keys for the ids, bin32 for the file.
    let mut bytes = b"\x83\xa6serial\x91\xb02222222222222222\xa5event\xa8evaluate".to_vec();
    bytes.extend(b"\xa8contents\x82\xa5files\x81\xd9\x24");
    bytes.extend(b"fa9d37f5-f0c0-496f-a468-c3e019d646a0\xc6\x00\x01\x96\x9a");
    bytes.extend(circuit());
    bytes.extend(b"\xa8batch_id\xd9\x24f558c3a5-d9ef-45ae-994c-52ef497dbbe7");
    let read = decode_client(&bytes.into(), Encoding::MessagePack, &limits()).unwrap();
    let ClientMessage::Command(frame) = read else { panic!("an acknowledgement") };
    assert_eq!(frame.serials, [Serial::new("2222222222222222").unwrap()]);
    let file = frame.contents["files"].get("fa9d37f5-f0c0-496f-a468-c3e019d646a0");
    assert_eq!(file, Some(&Value::Bytes(circuit())));
}

#[test]
fn circuits_travel_compressed() {
    let list = Value::from(vec![circuit(), Bytes::from_static(b"short")]);
    let frame = command(Object::from([("files".into(), list.clone())]));
    let bytes = encode_client(&frame, Encoding::MessagePack).unwrap();
    assert!(bytes.len() < circuit().len() / 8, "{} bytes", bytes.len());
    let read = decode_client(&bytes, Encoding::MessagePack, &limits()).unwrap();
    let ClientMessage::Command(read) = read else { panic!("an acknowledgement") };
    assert_eq!(read.contents["files"], list);
}

#[test]
fn a_zip_bomb_is_refused_before_it_unfolds() {
    let zeros = vec![0; 30_000_000];
    let bomb = Object::from([(
        "zstd".to_owned(),
        Value::Bytes(zstd::bulk::compress(&zeros, 3).unwrap().into()),
    )]);
    let small = CodecLimits { inflated: 1_000_000, ..limits() };
    let bytes = packed(&bomb);
    assert!(bytes.len() < 10_000);
    let error = refused(bytes.clone(), Encoding::MessagePack, &small);
    assert!(error.ends_with("more than 1000000 bytes decompressed"), "{error}");
    // The bound is on all of them together.
    let three = packed(&vec![&bomb; 3]);
    assert!(decode_value(&bytes, Encoding::MessagePack, &limits()).is_ok());
    let error = refused(three, Encoding::MessagePack, &limits());
    assert!(error.ends_with("more than 83360000 bytes decompressed"), "{error}");
    // Not what the key announces.
    let error = refused(&b"\x81\xa4zstd\xc4\x03abc"[..], Encoding::MessagePack, &limits());
    assert!(error.contains("the key `zstd`"), "{error}");
}

#[test]
fn a_frame_that_demands_a_huge_window_is_refused() {
    // Magic number, a header without content size, a window of 2^31 bytes (RFC 8878, 3.1.1.1).
    let bytes = &b"\x81\xa4zstd\xc4\x06\x28\xb5\x2f\xfd\x00\xa8"[..];
    let error = refused(bytes, Encoding::MessagePack, &limits());
    assert!(error.contains("the key `zstd`"), "{error}");
}

#[test]
fn depth_and_numbers_of_values_are_bounded() {
    for (encoding, deep) in [
        (Encoding::Json, b"[".repeat(100_000)),
        (Encoding::Json, b"{\"a\":".repeat(100_000)),
        (Encoding::MessagePack, b"\x91".repeat(100_000)),
        (Encoding::MessagePack, b"\x81\xa1a".repeat(100_000)),
    ] {
        let error = refused(deep, encoding, &limits());
        assert!(error.contains("nested more than 64 deep"), "{error}");
    }
    let few = CodecLimits { values: 1000, ..limits() };
    let many = [format!("[{}0]", "0,".repeat(2000)).into_bytes(), b"\xdd\0\0\x10\0".to_vec()];
    let many = many.map(|mut bytes| {
        bytes.extend(vec![0x90; if bytes[0] == 0xdd { 4096 } else { 0 }]);
        bytes
    });
    for (encoding, bytes) in BOTH.into_iter().zip(many) {
        let error = refused(bytes, encoding, &few);
        assert!(error.contains("more than 1000 values"), "{error}");
    }
}

#[test]
fn what_is_announced_must_be_there() {
    for bytes in [
        &b"\xc6\xff\xff\xff\xffx"[..],
        b"\xdb\xff\xff\xff\xffx",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xcf\0",
        b"",
    ] {
        let error = refused(bytes, Encoding::MessagePack, &limits());
        assert!(error.contains("should follow"), "{error}");
    }
}

#[test]
fn ambiguous_input_is_refused() {
    let json = |text: &'static str| refused(text.as_bytes(), Encoding::Json, &limits());
    assert_eq!(
        json("{\"a\":\n1,\"a\":2}"),
        "not valid JSON: the key `a` is there twice at line 2 column 8"
    );
    assert!(json("{} {}").contains("trailing characters"));
    assert!(json("\"\u{fffd}").contains("EOF"));
    let error = refused(&b"\"\xff\""[..], Encoding::Json, &limits());
    assert!(error.contains("unicode"), "{error}");
    for (bytes, reason) in [
        (&b"\x82\xa1a\x01\xa1a\x02"[..], "byte 7: the key `a` is there twice"),
        (b"\xa2\xff\xff", "not UTF-8"),
        (b"\x81\x01\x02", "is not text"),
        (b"\x01\x02", "byte 1: bytes follow the value"),
        (b"\xc1", "no format"),
        (b"\xd4\x01\x02", "extension types"),
    ] {
        let error = refused(bytes, Encoding::MessagePack, &limits());
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_wrong_frame_is_named_by_its_key() {
    for (json, reason) in [
        ("[]", "it is not an object"),
        (r#"{"serial": "A"}"#, "`event` is missing"),
        (r#"{"event": 3}"#, "`event` is not text"),
        (r#"{"event": "e"}"#, "`serial` is missing"),
        (r#"{"event": "e", "serial": []}"#, "`serial` names no board"),
        (r#"{"event": "e", "serial": [1]}"#, "`serial` is not a serial or a list of them"),
        (r#"{"event": "e", "serial": ""}"#, "`serial`: a serial must not be empty"),
        (r#"{"event": "e", "serial": "A", "contents": 1}"#, "`contents` is not an object"),
        (r#"{"event": "e", "serial": "A", "id": 1}"#, "`id` is not text"),
        (r#"{"event": "ack", "epoch": "e", "seq": -1}"#, "`seq` is not a whole number"),
    ] {
        let error = decode_client(&json.into(), Encoding::Json, &limits()).unwrap_err();
        assert_eq!(error.to_string(), format!("not a valid frame: {reason}"), "{json}");
    }
    for json in [
        r#"{"serial": "A"}"#,
        r#"{"serial":"A","contents":[1]}"#,
        r#"{"serial":"A","contents":[{}]}"#,
    ] {
        assert!(decode_server(&json.into(), Encoding::Json, &limits()).is_err(), "{json}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        ".{0,9}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Bytes::from(bytes).into()),
        (4000..5000_usize).prop_map(|length| Bytes::from(vec![7; length]).into()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,5}", inner, 0..6).prop_map(Value::from),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back(value in any_value()) {
        let bytes = encode(&value, Encoding::MessagePack).unwrap();
        prop_assert_eq!(&decode_value(&bytes, Encoding::MessagePack, &limits()).unwrap(), &value);
        // JSON has no byte strings; everything else comes back as it was.
        let json = serde_json::Value::from(value);
        let bytes = encode(&json, Encoding::Json).unwrap();
        let read = decode_value(&bytes, Encoding::Json, &limits()).unwrap();
        prop_assert_eq!(read, Value::from(json));
    }

    #[test]
    fn commands_come_back(contents in prop::collection::btree_map("[a-z]{1,3}", any_value(), 0..4)) {
        let frame = command(contents);
        let bytes = encode_client(&frame, Encoding::MessagePack).unwrap();
        let read = decode_client(&bytes, Encoding::MessagePack, &limits()).unwrap();
        prop_assert_eq!(read, ClientMessage::Command(frame));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        for encoding in BOTH {
            let _ = decode_client(&bytes, encoding, &limits());
            let _ = decode_server(&bytes, encoding, &limits());
        }
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        value in any_value(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frame = command(Object::from([("a".to_owned(), value)]));
        for encoding in BOTH {
            let bytes = encode_client(&frame, encoding).unwrap();
            let cut = bytes.slice(..cut.index(bytes.len()));
            prop_assert!(decode_client(&cut, encoding, &limits()).is_err());
            let mut damaged = bytes.to_vec();
            damaged[at.index(bytes.len())] = byte;
            let _ = decode_client(&damaged.into(), encoding, &limits());
        }
    }
}

#[test]
fn a_command_names_each_board_once_and_not_too_many() {
    let read = |serials: Vec<String>| {
        let frame = serde_json::json!({"serial": serials, "event": "e"}).to_string();
        decode_client(&frame.into(), Encoding::Json, &limits())
    };
    let Ok(ClientMessage::Command(frame)) = read(["B", "A", "B"].map(str::to_owned).to_vec())
    else {
        panic!("it is a command")
    };
    assert_eq!(frame.serials, ["B", "A"].map(|serial| Serial::new(serial).unwrap()));
    let many = (0..=1024).map(|n| n.to_string()).collect();
    assert!(read(many).unwrap_err().to_string().contains("at most 1024"));
}
