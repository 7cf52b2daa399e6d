//! The known word that an unknown one was probably meant to be.

/// The word among `known` with the fewest letters to change, if that is a small part of `word`.
///
/// ```
/// use zerobuffer::runner::nearest::nearest;
/// assert_eq!(nearest("comand", ["command", "cwd"]), Some("command"));
/// assert_eq!(nearest("banana", ["command", "cwd"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance
                <= word
                    .chars()
                    .count()
                    .max(candidate.chars().count())
                    .div_ceil(3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` for the nearest known word, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => String::new(),
    }
}

/// How many letters must be inserted, removed or replaced (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changed_letters() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("rust", "rust", 0),
            ("rsut", "rust", 2),
            ("phyton", "python", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_word_is_offered() {
        let known = ["rust", "python", "cpp"];
        assert_eq!(did_you_mean("pyhton", known), "; did you mean `python`?");
        assert_eq!(did_you_mean("rus", known), "; did you mean `rust`?");
        assert_eq!(did_you_mean("java", known), "");
    }
}
