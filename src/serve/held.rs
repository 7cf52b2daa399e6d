//! The things of one kind that a scenario holds: readers, writers, servers or clients.

use super::failure::Failure;

/// Things found by the role and the name that a step gives, else the one last used.
#[derive(Debug)]
pub struct Held<T> {
    kind: &'static str,
    /// The last used is the last.
    items: Vec<Item<T>>,
}

#[derive(Debug)]
struct Item<T> {
    role: String,
    name: String,
    thing: T,
}

impl<T> Held<T> {
    /// Nothing yet, of this kind (for messages).
    pub fn new(kind: &'static str) -> Self {
        Held {
            kind,
            items: Vec::new(),
        }
    }

    /// Holds one more, under a role (empty if the step named none) and a name.
    pub fn add(&mut self, role: &str, name: &str, thing: T) -> &mut T {
        self.items.push(Item {
            role: role.to_owned(),
            name: name.to_owned(),
            thing,
        });
        let last = self.items.len() - 1;
        &mut self.items[last].thing
    }

    /// The one of this role, and of this name if one is given; of several, the last used.
    /// An empty role fits all, and a thing without a role fits every role.
    ///
    /// # Errors
    ///
    /// A failure that says which are there.
    pub fn find(&mut self, role: &str, name: Option<&str>) -> Result<&mut T, Failure> {
        let item = self.remove(role, name)?;
        self.items.push(item);
        let last = self.items.len() - 1;
        Ok(&mut self.items[last].thing)
    }

    /// As [`find`](Self::find), no longer held.
    ///
    /// # Errors
    ///
    /// A failure that says which are there.
    pub fn take(&mut self, role: &str, name: Option<&str>) -> Result<T, Failure> {
        Ok(self.remove(role, name)?.thing)
    }

    fn remove(&mut self, role: &str, name: Option<&str>) -> Result<Item<T>, Failure> {
        let found = self.items.iter().rposition(|item| {
            (role.is_empty() || item.role.is_empty() || item.role == role)
                && name.is_none_or(|name| item.name == name)
        });
        match found {
            Some(index) => Ok(self.items.remove(index)),
            None => Err(self.nothing_found(role, name)),
        }
    }

    /// All of them, the last used last.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().map(|item| &mut item.thing)
    }

    /// Lets go of all.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    fn nothing_found(&self, role: &str, name: Option<&str>) -> Failure {
        let kind = self.kind;
        let role = match role {
            "" => String::new(),
            role => format!(" of role '{role}'"),
        };
        let name = name.map_or(String::new(), |name| format!(" for '{name}'"));
        let there: Vec<_> = self
            .items
            .iter()
            .map(|item| format!("'{}' of role '{}'", item.name, item.role))
            .collect();
        let there = match there.as_slice() {
            [] => format!("this process has no {kind}"),
            there => format!("this process has {}", there.join(", ")),
        };
        Failure::new(format!("expected a {kind}{role}{name}, but {there}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_found_by_what_is_named_else_the_last_used() {
        let mut held = Held::new("writer");
        held.add("writer", "a", 1);
        held.add("writer", "b", 2);
        held.add("other", "a", 3);
        assert_eq!(held.find("", None), Ok(&mut 3));
        assert_eq!(held.find("writer", None), Ok(&mut 2));
        assert_eq!(held.find("writer", Some("a")), Ok(&mut 1));
        assert_eq!(held.find("writer", None), Ok(&mut 1));
        assert_eq!(held.find("", None), Ok(&mut 1));
        assert_eq!(held.find("", Some("b")), Ok(&mut 2));
        assert_eq!(held.take("writer", Some("a")), Ok(1));
        assert!(held.take("writer", Some("a")).is_err());
        assert_eq!(held.find("", None), Ok(&mut 2));
    }

    #[test]
    fn what_is_taken_is_no_longer_there() {
        let mut held = Held::new("writer");
        held.add("writer", "a", 1);
        held.add("writer", "b", 2);
        assert_eq!(held.take("writer", Some("a")), Ok(1));
        assert_eq!(held.iter_mut().collect::<Vec<_>>(), [&2]);
        assert!(held.take("writer", Some("a")).is_err());
    }

    #[test]
    fn what_was_made_without_a_role_fits_every_role() {
        let mut held = Held::new("writer");
        held.add("", "a", 1);
        assert_eq!(held.find("writer", None), Ok(&mut 1));
    }

    #[test]
    fn a_miss_says_what_is_there() {
        let mut held = Held::new("reader");
        let failure = held.find("reader", None).unwrap_err().to_string();
        let expected = "expected a reader of role 'reader', but this process has no reader";
        assert_eq!(failure, expected);
        held.add("reader", "a", 1);
        let failure = held.find("client", Some("b")).unwrap_err().to_string();
        assert!(failure.contains("of role 'client' for 'b'"), "{failure}");
        assert!(failure.contains("'a' of role 'reader'"), "{failure}");
        held.clear();
        assert!(held.find("", None).is_err());
    }
}
