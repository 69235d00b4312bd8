//! Text in, items out.

use proptest::prelude::*;

use super::*;

/// Writes items so that ten fit on one screen.
fn read(text: &str) -> String {
    let shown = parse_perfdata(text).into_iter().map(|item| {
        let range = |range: Option<Range>| range.map_or(String::new(), |range| range.to_string());
        let number = |number: Option<f64>| number.map_or(String::new(), |n| n.to_string());
        let value = item.value.map_or("U".to_owned(), |value| value.to_string());
        let fields = [
            format!("{}={value}{}", item.label, item.unit.as_str()),
            range(item.warning),
            range(item.critical),
            number(item.min),
            number(item.max),
        ];
        fields.join(";").trim_end_matches(';').to_owned()
    });
    shown.collect::<Vec<_>>().join(" | ")
}

#[test]
fn items_are_read_as_the_guidelines_say() {
    let cases = [
        ("users=4;20;50;0", "users=4;20;50;0"),
        ("/=2B;1;2;0;4 /var=3B", "/=2bytes;1;2;0;4 | /var=3bytes"),
        ("'page file'=36%;80;90;", "page file=36percent;80;90"),
        ("'it''s'=3;1;2", "it's=3;1;2"),
        ("'a=b'=3", "a=b=3"),
        ("a=0.5;@10:20;~:30;;", "a=0.5;@10:20;~:30"),
        ("a=1;5:;:7", "a=1;5:;7"),
        ("a=-1.5e-05;-1:1;", "a=-0.000015;-1:1"),
        ("a=U b=+.5 c=23.", "a=U | b=0.5 | c=23"),
        ("test=1EWh", "test=1000000000000000000Wh"),
        ("a=1;;;;;;;; b=2", "a=1 | b=2"),
        ("\"a=1 b=2\"", "a=1 | b=2"),
        ("a=0, b=0.8", "a=0 | b=0.8"),
    ];
    for (text, want) in cases {
        assert_eq!(read(text), want, "{text:?}");
    }
}

#[test]
fn one_bad_item_spoils_no_other() {
    let cases = [
        ("rubbish", ""),
        ("rubbish a=1", "a=1"),
        ("rta=&391ms;100,200;0;   pl=0%;20;60  ", "pl=0percent;20;60"),
        ("a=inf b=nan c=-inf d=1", "d=1"),
        ("a=123_456 b=1,5 c= =3 d=1", "d=1"),
        ("a=1;no;2;x;9", "a=1;;2;;9"),
        ("a=1;20:10", "a=1"),
        ("'open=1 b=2", "'open=1 | b=2"),
        ("''=1 b=2", "b=2"),
    ];
    for (text, want) in cases {
        assert_eq!(read(text), want, "{text:?}");
    }
}

#[test]
fn units_are_brought_to_their_base_with_thresholds_and_bounds() {
    let cases = [
        ("a=250ms;500;1000;0;2000", "a=0.25seconds;0.5;1;0;2"),
        ("a=5us b=5µs c=20°", "a=0.000005seconds | b=0.000005seconds | c=20°"),
        ("a=2d;1:", "a=172800seconds;86400:"),
        ("a=1KB b=1MB c=1GiB", "a=1024bytes | b=1048576bytes | c=1073741824bytes"),
        ("a=1Mb b=1kb c=1Kib", "a=1000000bits | b=1000bits | c=1024bits"),
        ("a=42c b=3C c=5GBP", "a=42counter | b=3C | c=5GBP"),
    ];
    for (text, want) in cases {
        assert_eq!(read(text), want, "{text:?}");
    }
}

#[test]
fn there_are_bounds() {
    let many: Vec<String> = (0..3000).map(|i| format!("m{i}={i}")).collect();
    assert_eq!(parse_perfdata(&many.join(" ")).len(), ITEMS_MAX);
    assert!(parse_perfdata(&format!("{}=1", "x".repeat(300))).is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_loop(text in "[a'=;: 0-9.eE%@~,\"KiB\u{b5}-]{0,60}") {
        for item in parse_perfdata(&text) {
            prop_assert!(!item.label.is_empty());
            prop_assert!(item.value.is_none_or(f64::is_finite));
        }
    }
}

#[test]
fn physical_units_are_brought_to_their_base_whatever_their_size() {
    for (text, value, unit) in [
        ("x=950W", 950.0, "W"),
        ("x=1.05kW", 1050.0, "W"),
        ("x=20mW", 0.02, "W"),
        ("x=2MW", 2e6, "W"),
        ("x=250mA", 0.25, "A"),
        ("x=3300mV", 3.3, "V"),
        ("x=4kWh", 4000.0, "Wh"),
        ("x=5mAs", 0.005, "As"),
        ("x=2kO", 2000.0, "O"),
        ("x=3kg", 3000.0, "g"),
        ("x=5ug", 5e-6, "g"),
        ("x=15ml", 0.015, "l"),
        ("x=2hl", 200.0, "l"),
        // Of another unit that only ends so, nothing is changed.
        ("x=3deg", 3.0, "deg"),
        ("x=3VA", 3.0, "VA"),
    ] {
        let found = &parse_perfdata(text)[0];
        assert_eq!((found.value, found.unit.as_str()), (Some(value), unit), "{text}");
    }
    let ends = parse_perfdata("x=1kW;2;3;0;5")[0].clone();
    assert_eq!((ends.warning.unwrap().end, ends.max), (2000.0, Some(5000.0)));
}
