//! Labels of file systems, which have room for so many bytes.

/// As much of a label as fits into so many bytes; no letter is cut in two.
#[must_use]
pub(crate) fn cut(label: &str, most: usize) -> &str {
    let fits = |end: &usize| label.is_char_boundary(*end);
    let end = (0..=label.len().min(most)).rev().find(fits);
    &label[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_cut_in_two() {
        assert_eq!(cut("root", 15), "root");
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("ü", 1), "");
    }
}
