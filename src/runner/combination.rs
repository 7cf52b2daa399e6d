//! Combinations of platforms: which platform plays which role.

use std::fmt;

use super::nearest::did_you_mean;

/// The word that stands for every combination of the available platforms.
pub const ALL: &str = "all";

/// A combination as the user types it: platform names or `*`, joined by `_`.
///
/// The platforms stand in the alphabetical order of a scenario's role names; one alone plays all
/// roles. A scenario with one role runs on the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Combination {
    /// Every combination of the platforms that are available.
    All,
    /// One platform a role, or one for all roles; `None` is any platform.
    Of(Vec<Option<String>>),
}

impl Combination {
    /// Reads a combination of `platforms`.
    ///
    /// # Errors
    ///
    /// A name that is no platform, with the nearest one that is.
    pub fn parse(text: &str, platforms: &[&str]) -> Result<Combination, String> {
        if text == ALL {
            return Ok(Combination::All);
        }
        let part = |name: &str| match name {
            "*" => Ok(None),
            name if platforms.contains(&name) => Ok(Some(name.to_owned())),
            name => Err(format!(
                "`{name}` is no platform{}\nplatforms: {}",
                did_you_mean(name, platforms.iter().copied()),
                platforms.join(", ")
            )),
        };
        let parts: Result<_, String> = text.split('_').map(part).collect();
        Ok(Combination::Of(parts?))
    }

    /// Whether `assigned`, the platforms of a scenario's roles in order, is meant.
    pub fn matches(&self, assigned: &[String]) -> bool {
        let Combination::Of(parts) = self else {
            return true;
        };
        let fits = |part: &Option<String>, platform: &String| match part {
            None => true,
            Some(name) => name == platform,
        };
        match (parts.as_slice(), assigned) {
            ([one], all) => {
                all.iter().all(|platform| fits(one, platform))
                    && all.windows(2).all(|p| p[0] == p[1])
            }
            ([first, ..], [platform]) => fits(first, platform),
            (parts, all) => {
                parts.len() == all.len() && parts.iter().zip(all).all(|(part, p)| fits(part, p))
            }
        }
    }

    /// The platforms that are named in it.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Combination::All => [].as_slice(),
            Combination::Of(parts) => parts,
        };
        parts.iter().flatten().map(String::as_str)
    }

    /// Whether platforms that it does not name belong to it.
    pub fn is_open(&self) -> bool {
        match self {
            Combination::All => true,
            Combination::Of(parts) => parts.contains(&None),
        }
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Combination::All => f.write_str(ALL),
            Combination::Of(parts) => {
                let names: Vec<_> = parts.iter().map(|p| p.as_deref().unwrap_or("*")).collect();
                f.write_str(&names.join("_"))
            }
        }
    }
}

/// Every way to give `roles` roles one of `platforms` each, in order.
pub fn assignments(platforms: &[&str], roles: usize) -> Vec<Vec<String>> {
    (0..roles).fold(vec![Vec::new()], |found, _| {
        let longer = |begun: &Vec<String>, platform: &&str| {
            let mut next = begun.clone();
            next.push((*platform).to_owned());
            next
        };
        found
            .iter()
            .flat_map(|begun| {
                platforms
                    .iter()
                    .map(move |platform| longer(begun, platform))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: [&str; 3] = ["rust", "cpp", "python"];

    fn matching(text: &str, roles: usize) -> Vec<String> {
        let combination = Combination::parse(text, &PLATFORMS).unwrap();
        assert_eq!(combination.to_string(), text);
        assignments(&PLATFORMS, roles)
            .into_iter()
            .filter(|assigned| combination.matches(assigned))
            .map(|assigned| assigned.join("_"))
            .collect()
    }

    #[test]
    fn names_stand_in_the_order_of_the_roles() {
        assert_eq!(matching("rust_cpp", 2), ["rust_cpp"]);
        assert_eq!(matching("rust", 2), ["rust_rust"]);
        assert_eq!(matching("rust", 3), ["rust_rust_rust"]);
        assert_eq!(matching("*", 2), ["rust_rust", "cpp_cpp", "python_python"]);
        assert_eq!(
            matching("rust_*", 2),
            ["rust_rust", "rust_cpp", "rust_python"]
        );
        assert_eq!(matching("*_cpp", 2), ["rust_cpp", "cpp_cpp", "python_cpp"]);
        assert_eq!(matching("all", 2).len(), 9);
    }

    #[test]
    fn one_role_runs_on_the_first_name() {
        assert_eq!(matching("rust_cpp", 1), ["rust"]);
        assert_eq!(matching("all", 1), ["rust", "cpp", "python"]);
    }

    #[test]
    fn two_names_are_none_for_three_roles() {
        assert!(matching("rust_cpp", 3).is_empty());
    }

    #[test]
    fn an_unknown_platform_is_named_with_the_nearest() {
        let error = Combination::parse("rust_pyton", &PLATFORMS).unwrap_err();
        assert_eq!(
            error,
            "`pyton` is no platform; did you mean `python`?\nplatforms: rust, cpp, python"
        );
        assert!(Combination::parse("rust_", &PLATFORMS).is_err());
    }
}
