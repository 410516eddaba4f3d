//! Classes: from folders, or from a file of labels.

use std::collections::{HashMap, HashSet};

use super::name::{Name, natural_order};

/// The files of labels that are looked for, in this order.
pub(crate) const FILES: [&str; 3] = ["labels.csv", "metadata.csv", "dataset.json"];
/// The most bytes of such a file.
pub(crate) const LARGEST: u64 = 256 << 20;

/// What columns with the names of pictures are called.
const NAMES: [&str; 8] = ["file_name", "filename", "file", "image", "image_name", "path", "name", "id"];
/// What columns with labels are called.
const LABELS: [&str; 8] = ["label", "labels", "class", "class_name", "category", "target", "breed", "y"];

/// Names of pictures with their labels, as a file lists them.
pub(crate) type Rows = Vec<(String, String)>;

/// Classes of pictures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    /// The class of each picture; nothing where the file of labels has none for it.
    pub(crate) of: Vec<Option<u32>>,
    /// In natural order; empty where nothing is told apart.
    pub(crate) names: Vec<String>,
    /// What people should know about it.
    pub(crate) notes: Vec<String>,
}

impl Classes {
    /// Numbers the labels in natural order.
    fn of_labels<'a>(labels: impl Iterator<Item = Option<&'a str>> + Clone) -> Self {
        let mut names: Vec<&str> = labels.clone().flatten().collect::<HashSet<_>>().into_iter().collect();
        names.sort_by(|a, b| natural_order(a.as_bytes(), b.as_bytes()));
        let numbers: HashMap<&str, u32> =
            names.iter().zip(0..).map(|(name, number)| (*name, number)).collect();
        Classes {
            of: labels.map(|label| label.and_then(|label| numbers.get(label).copied())).collect(),
            names: names.into_iter().map(str::to_owned).collect(),
            notes: Vec::new(),
        }
    }
}

/// What is in front of the classes: the folders that all pictures have in common, as archives unpack.
fn common_folders(names: &[&Name]) -> usize {
    let folders = |name: &Name| name.parts().count() - 1;
    let Some(first) = names.first() else { return 0 };
    let mut common = folders(first);
    for name in names {
        let same = first.parts().zip(name.parts()).take_while(|(a, b)| a == b).count();
        common = common.min(same).min(folders(name));
    }
    common
}

/// The first folder below those that all have in common is the class, and what lies deeper belongs to it. Pictures of
/// one folder have no classes. Errors where some are in folders and some beside them: with one of each.
pub(crate) fn of_folders<'a>(names: &[&'a Name]) -> Result<Classes, [&'a Name; 2]> {
    let common = common_folders(names);
    let beside = names.iter().find(|name| name.parts().count() - 1 == common);
    let inside = names.iter().find(|name| name.parts().count() - 1 > common);
    match (beside, inside) {
        (Some(beside), Some(inside)) => Err([beside, inside]),
        (_, None) => Ok(Classes { of: vec![None; names.len()], ..Classes::default() }),
        (None, Some(_)) => {
            let labels: Vec<String> = names
                .iter()
                .map(|name| {
                    let folder = name.parts().nth(common).unwrap_or_default();
                    String::from_utf8_lossy(folder).into_owned()
                })
                .collect();
            Ok(Classes::of_labels(labels.iter().map(|label| Some(label.as_str()))))
        }
    }
}

/// Folders at the height of the classes that hold none of the pictures.
pub(crate) fn empty_classes(names: &[&Name], folders: &[Name]) -> Vec<String> {
    let common = common_folders(names);
    let Some(first) = names.first().filter(|name| name.parts().count() - 1 > common) else {
        return Vec::new();
    };
    let used: HashSet<&[u8]> = names.iter().filter_map(|name| name.parts().nth(common)).collect();
    let beside = |folder: &&Name| {
        folder.parts().count() == common + 1 && folder.parts().take(common).eq(first.parts().take(common))
    };
    let mut empty: Vec<&[u8]> = folders
        .iter()
        .filter(beside)
        .filter_map(|folder| folder.parts().next_back())
        .filter(|folder| !used.contains(folder))
        .collect();
    empty.sort_by(|a, b| natural_order(a, b));
    empty.into_iter().map(|folder| String::from_utf8_lossy(folder).into_owned()).collect()
}

/// The classes that a file of labels gives; `base` is the folder that it lies in. A picture is found by its name from
/// there, by its file name where that is the only one, or without its ending.
pub(crate) fn of_rows(rows: &Rows, names: &[&Name], base: &[u8], file: &str) -> Classes {
    let mut by_name: HashMap<&str, &str> = HashMap::with_capacity(rows.len());
    for (name, label) in rows {
        by_name.insert(name.trim_start_matches("./"), label);
    }
    let texts: Vec<String> = names.iter().map(|name| name.text()).collect();
    let base = String::from_utf8_lossy(base);
    let mut found = HashSet::new();
    let labels: Vec<Option<&str>> = texts
        .iter()
        .map(|text| {
            let inner = text.strip_prefix(&*base).unwrap_or(text).trim_start_matches('/');
            let last = inner.rsplit('/').next().unwrap_or(inner);
            let stem = |name: &str| name.rsplit_once('.').map_or(name.len(), |(stem, _)| stem.len());
            [inner, last, &inner[..stem(inner)], &last[..stem(last)]].into_iter().find_map(|key| {
                let (key, label) = by_name.get_key_value(key)?;
                found.insert(*key);
                Some(*label)
            })
        })
        .collect();
    let missing = by_name.len() - found.len();
    let mut classes = Classes::of_labels(labels.into_iter());
    if missing > 0 {
        let (rows, name) = if missing == 1 { ("row", "names") } else { ("rows", "name") };
        classes.notes.push(format!("{missing} {rows} of {file} {name} no picture"));
    }
    classes
}

/// Reads a CSV of names and labels; commas, semicolons or tabs stand between them. The columns are told by their names,
/// or are the only two. Nothing where `must` is not set and no column holds labels, as in a file of captions. Errors say
/// what is wrong, without the name of the file.
pub(crate) fn read_csv(bytes: &[u8], must: bool) -> Result<Option<Rows>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |byte: u8| line.iter().filter(|&&other| other == byte).count();
    let delimiter = [b',', b';', b'\t'].into_iter().rev().max_by_key(|&byte| count(byte)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut rows = reader.byte_records();
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let Some(head) = rows.next() else { return Err("is empty".into()) };
    let head = head.map_err(|e| e.to_string())?;
    let column = |known: &[&str]| {
        known.iter().find_map(|known| head.iter().position(|field| text(field).eq_ignore_ascii_case(known)))
    };
    let (name, label, begins) = match (column(&NAMES), column(&LABELS)) {
        (Some(name), Some(label)) if name != label => (name, label, false),
        // Two columns without titles: the first has a name that ends as files do.
        (None, None) if head.len() == 2 && text(&head[0]).contains('.') => (0, 1, true),
        (Some(name), None) if head.len() == 2 && must => (name, 1 - name, false),
        (None, Some(label)) if head.len() == 2 => (1 - label, label, false),
        _ if !must => return Ok(None),
        _ => {
            let titles = head.iter().map(text).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "has the columns {titles}; expected one called file_name and one called label"
            ));
        }
    };
    let mut found = Vec::new();
    let mut take = |row: &csv::ByteRecord| {
        if let (Some(name), Some(label)) = (row.get(name), row.get(label))
            && !name.is_empty()
            && !label.is_empty()
        {
            found.push((text(name).replace('\\', "/"), text(label)));
        }
    };
    if begins {
        take(&head);
    }
    for row in rows {
        take(&row.map_err(|e| e.to_string())?);
    }
    if found.is_empty() { Err("has no labels".into()) } else { Ok(Some(found)) }
}

/// Reads StyleGAN's dataset.json: `{"labels": [["00000/img00000000.png", 6], ...]}`, or an object of names and labels.
/// Nothing where its labels are null, as in a set without classes.
pub(crate) fn read_json(bytes: &[u8]) -> Result<Option<Rows>, String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| format!("is no JSON: {e}"))?;
    let expected = || "has no labels: expected {\"labels\": [[\"name.png\", 0], ...]}".to_string();
    let label = |value: &serde_json::Value| match value {
        serde_json::Value::String(label) => Ok(label.clone()),
        serde_json::Value::Number(label) if label.is_u64() => Ok(label.to_string()),
        other => Err(format!("has the label {other}; expected a whole number or a text")),
    };
    let labels = match &value {
        serde_json::Value::Object(object) => object.get("labels").unwrap_or(&value),
        other => other,
    };
    let rows: Result<Rows, String> = match labels {
        serde_json::Value::Null => return Ok(None),
        serde_json::Value::Array(rows) => rows
            .iter()
            .map(|row| match row.as_array().map(Vec::as_slice) {
                Some([serde_json::Value::String(name), value]) => Ok((name.clone(), label(value)?)),
                _ => Err(expected()),
            })
            .collect(),
        serde_json::Value::Object(rows) => {
            rows.iter().map(|(name, value)| Ok((name.clone(), label(value)?))).collect()
        }
        _ => Err(expected()),
    };
    let rows = rows?;
    if rows.is_empty() { Err(expected()) } else { Ok(Some(rows)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::new(text.as_bytes())).collect()
    }

    fn folders(texts: &[&str]) -> Result<(Vec<Option<u32>>, Vec<String>), String> {
        let names = names(texts);
        of_folders(&names.iter().collect::<Vec<_>>())
            .map(|classes| (classes.of, classes.names))
            .map_err(|[a, b]| format!("{a} {b}"))
    }

    #[test]
    fn the_first_level_is_the_class_however_deep_pictures_lie() {
        let (of, names) = folders(&["cat/long/1.png", "cat/2.png", "dog/large/old/1.png"]).unwrap();
        assert_eq!((of, names), (vec![Some(0), Some(0), Some(1)], vec!["cat".into(), "dog".into()]));
        let (of, names) = folders(&["10/a.png", "2/a.png", "9/a.png"]).unwrap();
        assert_eq!((of, names.join(" ")), (vec![Some(2), Some(0), Some(1)], "2 9 10".into()));
        // What all have in common is no class.
        assert_eq!(folders(&["img/1.png", "img/2.png"]).unwrap().1, [""; 0]);
        assert_eq!(folders(&["set/img/cat/1.png", "set/img/dog/2.png"]).unwrap().1, ["cat", "dog"]);
        assert_eq!(folders(&["1.png", "2.png"]).unwrap(), (vec![None, None], vec![]));
        assert_eq!(folders(&["1.png", "cat/2.png"]), Err("1.png cat/2.png".into()));
        let many: Vec<String> = (0..300).map(|n| format!("class-{n}/a.png")).collect();
        let (of, names) = folders(&many.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!((of[299], names.len(), names[299].as_str()), (Some(299), 300, "class-299"));
    }

    #[test]
    fn folders_without_pictures_are_found_beside_the_classes() {
        let pictures = names(&["set/cat/1.png", "set/dog/old/1.png"]);
        let all = names(&[
            "set",
            "set/cat",
            "set/cow",
            "set/dog",
            "set/dog/old",
            "set/dog/young",
            "set/ape",
            "other",
        ]);
        assert_eq!(empty_classes(&pictures.iter().collect::<Vec<_>>(), &all), ["ape", "cow"]);
        let flat = names(&["a.png"]);
        assert_eq!(empty_classes(&flat.iter().collect::<Vec<_>>(), &all), [""; 0]);
    }

    #[test]
    fn tables_are_read_as_people_write_them() {
        let expected = |text: &str| {
            let rows = read_csv(text.as_bytes(), true).unwrap().unwrap();
            assert_eq!(rows, [("a.png".into(), "cat".into()), ("b/c.png".into(), "a, b".into())], "{text}");
        };
        expected("file_name,label\na.png,cat\nb/c.png,\"a, b\"\n");
        expected("\u{feff}Label;x;FileName\r\ncat;1;a.png\r\na, b;2;b\\c.png\r\n");
        expected("a.png\tcat\nb/c.png\ta, b");
        assert_eq!(read_csv(b"file_name,text\na.png,a cat\n", false).unwrap(), None);
        let message = read_csv(b"one,two,three\n", true).unwrap_err();
        assert!(message.contains("columns one, two, three") && message.contains("file_name"), "{message}");
        assert!(read_csv(b"", true).is_err() && read_csv(b"file,label\n", true).is_err());
        let rows = read_json(br#"{"labels": [["0/a.png", 6], ["b.png", 10]]}"#).unwrap().unwrap();
        assert_eq!(rows, [("0/a.png".into(), "6".into()), ("b.png".into(), "10".into())]);
        assert_eq!(read_json(br#"{"labels": null}"#).unwrap(), None);
        assert_eq!(read_json(br#"{"a.png": "cat"}"#).unwrap().unwrap().len(), 1);
        for wrong in ["{}", "[]", "7", r#"{"labels": [["a.png"]]}"#, r#"{"labels": [["a.png", [0.5, 1]]]}"#] {
            assert!(read_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_find_pictures_by_path_by_name_and_without_ending() {
        let rows: Rows =
            [("x/1.png", "dog"), ("2.png", "10"), ("3", "cat"), ("none.png", "emu"), ("./4.png", "9")]
                .map(|(a, b)| (a.into(), b.into()))
                .into();
        let pictures = names(&["set/x/1.png", "set/y/2.png", "set/3.jpeg", "set/4.png", "set/5.png"]);
        let classes = of_rows(&rows, &pictures.iter().collect::<Vec<_>>(), b"set", "labels.csv");
        assert_eq!(classes.names, ["9", "10", "cat", "dog"]);
        assert_eq!(classes.of, [Some(3), Some(1), Some(2), Some(0), None]);
        assert_eq!(classes.notes, ["1 row of labels.csv names no picture"]);
    }

    proptest! {
        #[test]
        fn files_of_labels_never_panic(mut bytes: Vec<u8>, at: prop::sample::Index, value: u8, end: prop::sample::Index) {
            let _ = (read_csv(&bytes, true), read_csv(&bytes, false), read_json(&bytes));
            bytes = b"file_name,label\na.png,\"cat\"\nb.png,dog\n".to_vec();
            let place = at.index(bytes.len());
            bytes[place] = value;
            let _ = read_csv(&bytes[..end.index(bytes.len())], true);
            bytes = br#"{"labels": [["0/a.png", 6], ["b.png", 10]]}"#.to_vec();
            let place = at.index(bytes.len());
            bytes[place] = value;
            let _ = read_json(&bytes);
        }
    }
}
