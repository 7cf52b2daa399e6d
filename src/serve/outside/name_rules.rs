//! What operating systems object to in names of files, semaphores and shared memory.

/// The most bytes that Linux takes for a file's name.
const LINUX_LONGEST: usize = 255;

/// The most characters that Windows takes for a file's or a kernel object's name.
const WINDOWS_LONGEST: usize = 255;

/// What no file on Windows may have in its name; in a kernel object's, a backslash would name a
/// namespace.
const WINDOWS_FORBIDDEN: &str = "<>:\"/\\|?*";

/// Names of devices, whatever follows behind a dot.
const WINDOWS_DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "COM", "LPT"];

/// Why Linux would not take a file of this name; `None` if it does.
pub fn linux_objection(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("it is a folder's own name"),
        name if name.contains(['/', '\0']) => Some("it contains '/' or NUL"),
        name if name.len() > LINUX_LONGEST => Some("it has more than 255 bytes"),
        _ => None,
    }
}

/// Why Windows would not take a file or a kernel object of this name; `None` if it does.
pub fn windows_objection(name: &str) -> Option<&'static str> {
    let is_forbidden = |c: char| c.is_control() || WINDOWS_FORBIDDEN.contains(c);
    match name {
        "" => Some("it is empty"),
        name if name.contains(is_forbidden) => Some("it contains a control or one of <>:\"/\\|?*"),
        name if name.ends_with([' ', '.']) => Some("it ends in a space or a dot"),
        name if name.encode_utf16().count() > WINDOWS_LONGEST => {
            Some("it has more than 255 characters")
        }
        name if is_device(name) => Some("it is a device's name"),
        _ => None,
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_ascii_uppercase();
    match stem.strip_suffix(|c: char| c.is_ascii_digit() && c != '0') {
        Some(device) => WINDOWS_DEVICES[4..].contains(&device),
        None => WINDOWS_DEVICES[..4].contains(&stem.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_by_both() {
        for name in [
            "550e8400-e29b-41d4",
            "test_buffer-123",
            "sem.sem-w-x",
            "console",
            "com10",
        ] {
            assert_eq!(linux_objection(name), None, "{name}");
            assert_eq!(windows_objection(name), None, "{name}");
        }
        let longest = "n".repeat(255);
        assert_eq!(linux_objection(&longest), None);
        assert_eq!(windows_objection(&longest), None);
    }

    #[test]
    fn linux_objects_to_little() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\0b",
            &"n".repeat(256),
            &"é".repeat(128),
        ] {
            assert!(linux_objection(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn windows_objects_to_more() {
        for name in [
            "",
            "a\\b",
            "a:b",
            "a?",
            "a\tb",
            "a.",
            "a ",
            "nul",
            "COM1.txt",
            "lpt9",
            &"n".repeat(256),
        ] {
            assert!(windows_objection(name).is_some(), "{name:?}");
        }
        assert_eq!(windows_objection(&"é".repeat(128)), None);
    }
}
