//! This file looks users and groups up in the image's own `/etc/passwd` and `/etc/group`.
//!
//! It reads text files only; nothing of the machine that builds has a say.

use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};
use crate::fields::{Account, Located};
use crate::model::Credentials;
use std::path::Path;

/// What a lookup found, or what is to be said.
type Lookup<T> = Result<T, Box<Diagnostic>>;

/// One line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// One line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// The tables of one image.
#[derive(Debug, Clone, Default)]
pub struct Users {
    users: Option<Vec<User>>,
    groups: Option<Vec<Group>>,
    /// Names that cannot be looked up are taken on trust: nothing is built from the answer.
    trusting: bool,
}

impl Users {
    /// Reads the tables from the last of `roots` that has them.
    #[must_use]
    pub fn load(roots: &[&Path], trusting: bool) -> Self {
        let mut users = Self {
            trusting,
            ..Self::default()
        };
        for root in roots {
            if let Some(text) = read(&root.join("etc/passwd")) {
                users.users = Some(text.lines().filter_map(user).collect());
            }
            if let Some(text) = read(&root.join("etc/group")) {
                users.groups = Some(text.lines().filter_map(group).collect());
            }
        }
        users
    }

    /// User and primary group; the group is `None` when the number is in no table.
    fn user(&self, account: &Located<Account>) -> Lookup<(u32, Option<u32>)> {
        let users = self.users.as_deref().unwrap_or_default();
        match &account.value {
            Account::Number(0) => Ok((0, Some(0))),
            Account::Number(uid) => {
                let found = users.iter().find(|user| user.uid == *uid);
                Ok((*uid, found.map(|user| user.gid)))
            }
            Account::Name(name) => {
                if let Some(user) = users.iter().find(|user| user.name == *name) {
                    return Ok((user.uid, Some(user.gid)));
                }
                if name == "root" {
                    return Ok((0, Some(0)));
                }
                let names = users.iter().map(|user| user.name.as_str());
                let missing = self.missing("user", name, account.span, self.users.is_some(), names);
                missing.map(|id| (id, Some(id)))
            }
        }
    }

    /// A group's number.
    ///
    /// # Errors
    /// The image has no such group.
    pub fn group(&self, account: &Located<Account>) -> Lookup<u32> {
        let groups = self.groups.as_deref().unwrap_or_default();
        match &account.value {
            Account::Number(gid) => Ok(*gid),
            Account::Name(name) => {
                if let Some(group) = groups.iter().find(|group| group.name == *name) {
                    return Ok(group.gid);
                }
                if name == "root" {
                    return Ok(0);
                }
                let names = groups.iter().map(|group| group.name.as_str());
                self.missing("group", name, account.span, self.groups.is_some(), names)
            }
        }
    }

    fn missing<'a>(
        &self,
        what: &str,
        name: &str,
        span: Span,
        has_table: bool,
        names: impl Iterator<Item = &'a str>,
    ) -> Lookup<u32> {
        let file = match what {
            "user" => "/etc/passwd",
            _ => "/etc/group",
        };
        if has_table {
            let message = format!("the image has no {what} `{name}`");
            let help = did_you_mean(name, names)
                .unwrap_or_else(|| format!("add it to the image's {file}, or write a number"));
            let problem = Diagnostic::new(Id::UnknownUser, span, message).help(help);
            return Err(Box::new(problem.label(format!("not in {file}"))));
        }
        if self.trusting {
            return Ok(0);
        }
        let message = format!("there is no {file} to look the {what} `{name}` up in");
        let help = "name a root file system, add a folder with that file to [rootfs] folders, \
                    or write a number";
        Err(Box::new(
            Diagnostic::new(Id::NoUserTable, span, message).help(help),
        ))
    }

    /// Owner and group of something made.
    ///
    /// # Errors
    /// What the image does not have.
    pub fn owner(
        &self,
        user: Option<&Located<Account>>,
        group: Option<&Located<Account>>,
    ) -> Lookup<(u32, u32)> {
        let (uid, primary) = match user {
            Some(user) => self.user(user)?,
            None => (0, Some(0)),
        };
        match (group, primary, user) {
            (Some(group), ..) => Ok((uid, self.group(group)?)),
            (None, Some(gid), _) => Ok((uid, gid)),
            (None, None, user) => {
                let span = user.map(|user| user.span).unwrap_or_default();
                let message = format!("the image has no user {uid}, so its group is not known");
                let problem = Diagnostic::new(Id::MissingKey, span, message);
                Err(Box::new(problem.help("write group = .. as well")))
            }
        }
    }

    /// Whom a process runs as; `None`: root with no supplementary groups.
    ///
    /// # Errors
    /// What the image does not have.
    pub fn credentials(
        &self,
        user: Option<&Located<Account>>,
        group: Option<&Located<Account>>,
        groups: Option<&[Located<Account>]>,
    ) -> Lookup<Option<Credentials>> {
        let (uid, gid) = self.owner(user, group)?;
        let mut numbers = Vec::new();
        match groups {
            Some(groups) => {
                for group in groups {
                    numbers.push(self.group(group)?);
                }
            }
            None if uid != 0 => numbers = self.groups_of(uid),
            None => {}
        }
        numbers.retain(|number| *number != gid);
        numbers.sort_unstable();
        numbers.dedup();
        if uid == 0 && gid == 0 && numbers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Credentials {
            uid,
            gid,
            groups: numbers,
        }))
    }

    fn groups_of(&self, uid: u32) -> Vec<u32> {
        let users = self.users.as_deref().unwrap_or_default();
        let groups = self.groups.as_deref().unwrap_or_default();
        let Some(user) = users.iter().find(|user| user.uid == uid) else {
            return Vec::new();
        };
        let lists = |group: &&Group| group.members.contains(&user.name);
        groups.iter().filter(lists).map(|group| group.gid).collect()
    }
}

fn read(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:password:uid:gid:..`
fn user(line: &str) -> Option<User> {
    let mut parts = line.split(':');
    let name = parts.next()?.to_string();
    parts.next()?;
    Some(User {
        name,
        uid: parts.next()?.parse().ok()?,
        gid: parts.next()?.parse().ok()?,
    })
}

/// `name:password:gid:member,member`
fn group(line: &str) -> Option<Group> {
    let mut parts = line.split(':');
    let name = parts.next()?.to_string();
    parts.next()?;
    let gid = parts.next()?.parse().ok()?;
    let members = parts.next().unwrap_or_default().split(',');
    Some(Group {
        name,
        gid,
        members: members.map(|member| member.trim().to_string()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Users {
        let passwd = "root:x:0:0::/:/bin/sh\nbroken\nmosquitto:x:100:101::/:/bin/false\n";
        let groups = "root:x:0:\ndialout:x:20:other,mosquitto\nmosquitto:x:101:\n";
        Users {
            users: Some(passwd.lines().filter_map(user).collect()),
            groups: Some(groups.lines().filter_map(group).collect()),
            ..Users::default()
        }
    }

    fn named(name: &str) -> Located<Account> {
        Located::new(Account::Name(name.into()), Span::default())
    }

    #[test]
    fn a_user_brings_its_groups() {
        let found = image().credentials(Some(&named("mosquitto")), None, None);
        let wanted = Credentials {
            uid: 100,
            gid: 101,
            groups: vec![20],
        };
        assert_eq!(found, Ok(Some(wanted)));
    }

    #[test]
    fn root_without_groups_needs_no_change() {
        let found = image().credentials(Some(&named("root")), None, None);
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn written_groups_replace_those_of_the_image() {
        let user = named("mosquitto");
        let found = image().credentials(Some(&user), None, Some(&[]));
        assert_eq!(found.map(|found| found.map(|c| c.groups)), Ok(Some(vec![])));
    }

    #[test]
    fn what_is_missing_is_said() {
        let id = |found: Lookup<Option<Credentials>>| found.map_err(|problem| problem.id).err();
        let user = named("mosquito");
        let number = Located::new(Account::Number(7), Span::default());
        let empty = Users::default();
        assert_eq!(
            id(image().credentials(Some(&user), None, None)),
            Some(Id::UnknownUser)
        );
        assert_eq!(
            id(image().credentials(Some(&number), None, None)),
            Some(Id::MissingKey)
        );
        assert_eq!(
            id(empty.credentials(Some(&user), None, None)),
            Some(Id::NoUserTable)
        );
    }
}
