//! Where a call goes inside the gateway, step by step: rings that nobody answers, keys in menus.
//!
//! `Menu::press` is what the running menu asks for each key; `walk` follows a whole flow on paper,
//! for tests and `explain`.

use super::plan::{Destination, Menu, Plan};
use crate::base::UserId;

/// What the keys pressed so far mean to a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pressed<'a> {
    /// A choice, and no longer one starts with these keys.
    Chosen(&'a Destination),
    /// A choice, unless another key follows within `next_digit`.
    Unless(&'a Destination),
    /// The start of a choice.
    More,
    /// No choice starts with these keys.
    Invalid,
}

impl Menu {
    /// What `keys` mean. A menu with a `terminator` or `max_digits` collects: nothing is said of the
    /// keys before the last, so that nobody learns a number key by key.
    pub fn press(&self, keys: &str) -> Pressed<'_> {
        if self.terminator.is_some() || self.max_digits.is_some() {
            let ended = self.terminator.and_then(|end| keys.strip_suffix(end));
            let whole = ended.or(Some(keys).filter(|keys| Some(keys.len()) == self.max_digits));
            return match (whole, self.press.get(whole.unwrap_or(keys))) {
                (Some(_), Some(to)) => Pressed::Chosen(to),
                (Some(_), None) => Pressed::Invalid,
                (None, Some(to)) => Pressed::Unless(to),
                (None, None) if keys.len() >= MOST_KEYS => Pressed::Invalid,
                (None, None) => Pressed::More,
            };
        }
        let longer = self.press.keys().any(|k| k.len() > keys.len() && k.starts_with(keys));
        match (self.press.get(keys), longer) {
            (Some(to), false) => Pressed::Chosen(to),
            (Some(to), true) => Pressed::Unless(to),
            (None, true) => Pressed::More,
            (None, false) => Pressed::Invalid,
        }
    }
}

/// What a caller does in menus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// Listens; the walk ends in the first menu.
    Waits,
    /// Presses nothing until each menu gives up.
    IsSilent,
    /// Presses these keys and then listens.
    Presses(&'a str),
}

/// A flow followed to its end by a caller whom nobody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Everybody who was rung, in order, once.
    pub rings: Vec<UserId>,
    /// Where the call ends up.
    pub ends_at: Destination,
    /// Every place on the way.
    pub path: Vec<Destination>,
}

impl Plan {
    /// Follows a flow: nobody answers, and the caller does this in the menus on the way.
    pub fn walk(&self, flow: &[Destination], caller: Caller<'_>) -> Walk {
        let mut walk = Walk { rings: Vec::new(), ends_at: Destination::Hangup, path: Vec::new() };
        for step in flow {
            walk.path.push(step.clone());
            walk.ends_at = step.clone();
            match step {
                Destination::User(user) => add(&mut walk.rings, user),
                Destination::Ring(name) => {
                    let users = self.rings.get(name).map(|ring| ring.users.as_slice());
                    users.unwrap_or_default().iter().for_each(|user| add(&mut walk.rings, user));
                }
                Destination::Menu(name) => {
                    match caller {
                        Caller::Waits => {}
                        Caller::IsSilent => self.walk_silently(name, &mut walk),
                        Caller::Presses(keys) => self.walk_menu(name, keys, &mut walk),
                    }
                    return walk;
                }
                _ => return walk,
            }
        }
        walk
    }

    fn walk_silently(&self, name: &str, walk: &mut Walk) {
        let mut menu = self.menus.get(name);
        // The way of `on_fail` ends: load sees to it.
        while let Some(here) = menu {
            walk.path.push(here.on_fail.clone());
            walk.ends_at = here.on_fail.clone();
            menu = match &here.on_fail {
                Destination::Menu(next) => self.menus.get(next),
                _ => None,
            };
        }
        if matches!(walk.ends_at, Destination::Ring(_) | Destination::User(_)) {
            let rest = self.walk(std::slice::from_ref(&walk.ends_at), Caller::IsSilent);
            rest.rings.iter().for_each(|user| add(&mut walk.rings, user));
        }
    }

    fn walk_menu(&self, name: &str, press: &str, walk: &mut Walk) {
        let Some(mut menu) = self.menus.get(name) else { return };
        let mut keys = String::new();
        let mut wrong = 0;
        let mut left = press.chars().peekable();
        while let Some(key) = left.next() {
            keys.push(key);
            let to = match menu.press(&keys) {
                Pressed::Chosen(to) => to,
                Pressed::Unless(to) if left.peek().is_none() => to,
                Pressed::Unless(_) | Pressed::More => continue,
                Pressed::Invalid => {
                    keys.clear();
                    wrong += 1;
                    if wrong <= menu.retries {
                        continue;
                    }
                    &menu.on_fail
                }
            };
            walk.path.push(to.clone());
            walk.ends_at = to.clone();
            (keys, wrong) = (String::new(), 0);
            match to {
                Destination::Menu(next) => match self.menus.get(next) {
                    Some(next) => menu = next,
                    None => return,
                },
                Destination::Ring(_) | Destination::User(_) => {
                    let rest = self.walk(std::slice::from_ref(to), Caller::Waits);
                    rest.rings.iter().for_each(|user| add(&mut walk.rings, user));
                    return;
                }
                _ => return,
            }
        }
    }
}

/// `ring:a, then voicemail:b`.
pub(super) fn words(flow: &[Destination]) -> String {
    flow.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

/// As many as a key of `press` may have.
const MOST_KEYS: usize = 16;

fn add(users: &mut Vec<UserId>, user: &UserId) {
    if !users.contains(user) {
        users.push(user.clone());
    }
}
