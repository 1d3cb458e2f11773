//! From 27 MB of nets and switches to tables by kind of tile and rules between neighbours.

use super::database::{COLUMNS, Database, ROWS, Tile};
use crate::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Nets in more tiles than this are the global ones, which the table knows by name.
const GLOBAL: usize = 200;

/// What the table consists of, beside what the database already lists.
pub(super) struct Condensed {
    pub(super) kinds: Vec<Kind>,
    /// The kind of each tile.
    pub(super) kind_of: HashMap<Tile, usize>,
    pub(super) rules: Vec<Rule>,
    /// Wires that are one net although no rule says so.
    pub(super) joins: Vec<((Tile, u16), (Tile, u16))>,
    /// Options (tile, group of its kind, setting) that a tile lacks.
    pub(super) absent: BTreeSet<(u8, u8, u16, u8)>,
}

/// Tiles with the same wires and switches.
pub(super) struct Kind {
    pub(super) name: String,
    /// Names of wires, ascending.
    pub(super) wires: Vec<u16>,
    pub(super) groups: Vec<Group>,
}

/// Bits that drive one wire.
pub(super) struct Group {
    pub(super) buffer: bool,
    pub(super) bits: Vec<(u8, u8)>,
    /// Name of the driven wire.
    pub(super) wire: u16,
    /// Setting and name of the driving wire.
    pub(super) options: BTreeMap<u8, u16>,
}

/// In every tile of kind `.0`, wire `.1` is the same net as wire `.5` of the tile that lies
/// (`.2`, `.3`) away, if that is of kind `.4`.
pub(super) type Rule = (u8, u16, i8, i8, u8, u16);

/// Condenses the database.
pub(super) fn condense(database: &Database) -> Result<Condensed> {
    let index = Index::new(database);
    let names: BTreeSet<&String> = database.kinds.values().collect();
    let mut kinds = Vec::new();
    let mut kind_of = HashMap::new();
    for name in names {
        let tiles: Vec<Tile> =
            index.tiles.iter().copied().filter(|t| database.kinds[t] == *name).collect();
        kind_of.extend(tiles.iter().map(|&tile| (tile, kinds.len())));
        let wires: BTreeSet<u16> =
            tiles.iter().flat_map(|tile| index.wires[tile].iter().map(|&(wire, _)| wire)).collect();
        let wires = wires.into_iter().collect();
        kinds.push(Kind { name: name.clone(), wires, groups: Vec::new() });
    }
    switches(database, &index, &kind_of, &mut kinds)?;
    let absent = absent(database, &kind_of, &kinds);
    let rules = rules(database, &index, &kind_of, kinds.len());
    let joins = joins(database, &index, &kind_of, &rules);
    Ok(Condensed { kinds, kind_of, rules, joins, absent })
}

/// The database by tile.
struct Index {
    /// All tiles of the chip.
    tiles: Vec<Tile>,
    /// Wires of each tile with their nets.
    wires: HashMap<Tile, Vec<(u16, usize)>>,
    net: HashMap<(Tile, u16), usize>,
}

impl Index {
    fn new(database: &Database) -> Self {
        let tiles: Vec<Tile> = (0..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| (x, y))).collect();
        let mut wires: HashMap<Tile, Vec<(u16, usize)>> =
            tiles.iter().map(|&tile| (tile, Vec::new())).collect();
        let mut net = HashMap::new();
        for (number, members) in database.nets.iter().enumerate() {
            for &(tile, wire) in members {
                wires.entry(tile).or_default().push((wire, number));
                net.insert((tile, wire), number);
            }
        }
        Self { tiles, wires, net }
    }

    /// What a net is called in a tile.
    fn names(&self, tile: Tile, net: usize) -> BTreeSet<u16> {
        self.wires[&tile]
            .iter()
            .filter(|&&(_, other)| other == net)
            .map(|&(wire, _)| wire)
            .collect()
    }
}

/// Finds, for every wire of every switch, a name that is right in all tiles of the kind: a wire can
/// have several names in a tile, and which of them coincide differs between tiles.
fn switches(
    database: &Database,
    index: &Index,
    kind_of: &HashMap<Tile, usize>,
    kinds: &mut [Kind],
) -> Result {
    type Key = (usize, Vec<(u8, u8)>);
    let mut driven: BTreeMap<Key, (bool, BTreeSet<u16>)> = BTreeMap::new();
    let mut driving: BTreeMap<(Key, u8), BTreeSet<u16>> = BTreeMap::new();
    let narrow = |known: &mut BTreeSet<u16>, names: BTreeSet<u16>| {
        known.retain(|name| names.contains(name));
    };
    for switch in &database.switches {
        let key = (kind_of[&switch.tile], switch.bits.clone());
        let names = index.names(switch.tile, switch.net);
        let entry = driven.entry(key.clone()).or_insert_with(|| (switch.buffer, names.clone()));
        narrow(&mut entry.1, names);
        if entry.0 != switch.buffer {
            return Err(format!("bits {:?} are buffer and routing", switch.bits).into());
        }
        for &(setting, net) in &switch.options {
            let names = index.names(switch.tile, net);
            let known = driving.entry((key.clone(), setting)).or_insert_with(|| names.clone());
            narrow(known, names);
        }
    }
    // The name that sorts first, so that the table does not depend on the order of the database.
    let choose = |names: &BTreeSet<u16>| {
        names
            .iter()
            .copied()
            .min_by_key(|&name| &database.names[usize::from(name)])
            .ok_or("a switch has no name that is right in all tiles of its kind")
    };
    for ((kind, bits), (buffer, names)) in &driven {
        let key = (*kind, bits.clone());
        let options = driving.range((key.clone(), 0)..=(key, u8::MAX));
        let options = options
            .map(|((_, setting), names)| Ok((*setting, choose(names)?)))
            .collect::<Result<_, &str>>()?;
        let (buffer, bits, wire) = (*buffer, bits.clone(), choose(names)?);
        kinds[*kind].groups.push(Group { buffer, bits, wire, options });
    }
    Ok(())
}

/// Options of switches that the kind has but a tile has not.
fn absent(
    database: &Database,
    kind_of: &HashMap<Tile, usize>,
    kinds: &[Kind],
) -> BTreeSet<(u8, u8, u16, u8)> {
    let present: HashMap<_, BTreeSet<u8>> = database
        .switches
        .iter()
        .map(|s| {
            ((s.tile, s.bits.as_slice()), s.options.iter().map(|&(setting, _)| setting).collect())
        })
        .collect();
    let mut absent = BTreeSet::new();
    for (&(x, y), &kind) in kind_of {
        for (number, group) in kinds[kind].groups.iter().enumerate() {
            let present = present.get(&((x, y), group.bits.as_slice()));
            for &setting in group.options.keys() {
                if !present.is_some_and(|present| present.contains(&setting)) {
                    absent.insert((x, y, number as u16, setting));
                }
            }
        }
    }
    absent
}

/// Rules that hold everywhere and together connect as much as any set of rules does.
fn rules(
    database: &Database,
    index: &Index,
    kind_of: &HashMap<Tile, usize>,
    kinds: usize,
) -> Vec<Rule> {
    let mut count: HashMap<Rule, u32> = HashMap::new();
    for members in &database.nets {
        let mut by_tile: BTreeMap<Tile, Vec<u16>> = BTreeMap::new();
        for &(tile, wire) in members {
            by_tile.entry(tile).or_default().push(wire);
        }
        if by_tile.len() > GLOBAL {
            continue;
        }
        for (&tile, wires) in &by_tile {
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1), (1, -1)] {
                let Some(other) = at(tile, dx, dy) else { continue };
                let Some(others) = by_tile.get(&other) else { continue };
                for &a in wires {
                    for &b in others {
                        if (dx, dy) != (0, 0) || a < b {
                            let (ka, kb) = (kind_of[&tile] as u8, kind_of[&other] as u8);
                            *count.entry((ka, a, dx, dy, kb, b)).or_default() += 1;
                        }
                    }
                }
            }
        }
    }
    let mut places = vec![Vec::new(); kinds];
    for &tile in &index.tiles {
        places[kind_of[&tile]].push(tile);
    }
    let pairs = |&(ka, a, dx, dy, kb, b): &Rule| {
        let pairs = places[usize::from(ka)].iter().filter_map(move |&tile| {
            let other = at(tile, dx, dy).filter(|other| kind_of[other] == usize::from(kb))?;
            Some(((tile, a), (other, b)))
        });
        pairs.filter(|(a, b)| index.net.contains_key(a) && index.net.contains_key(b))
    };
    let mut rules: Vec<(u32, Rule)> = count
        .into_iter()
        .filter(|(rule, _)| pairs(rule).all(|(a, b)| index.net[&a] == index.net[&b]))
        .map(|(rule, count)| (count, rule))
        .collect();
    // Rules that say most come first; those that then add nothing are left out.
    rules.sort_unstable_by_key(|&(count, rule)| (std::cmp::Reverse(count), rule));
    let mut sets = Sets::new(index);
    let mut kept = Vec::new();
    for (_, rule) in rules {
        let mut adds = false;
        for (a, b) in pairs(&rule) {
            adds |= sets.join(a, b);
        }
        if adds {
            kept.push(rule);
        }
    }
    kept.sort_unstable();
    kept
}

/// What the rules leave apart.
fn joins(
    database: &Database,
    index: &Index,
    kind_of: &HashMap<Tile, usize>,
    rules: &[Rule],
) -> Vec<((Tile, u16), (Tile, u16))> {
    let mut sets = Sets::new(index);
    for &(ka, a, dx, dy, kb, b) in rules {
        for &tile in &index.tiles {
            let Some(other) = at(tile, dx, dy) else { continue };
            let (a, b) = ((tile, a), (other, b));
            if kind_of[&tile] == usize::from(ka)
                && kind_of[&other] == usize::from(kb)
                && index.net.contains_key(&a)
                && index.net.contains_key(&b)
            {
                sets.join(a, b);
            }
        }
    }
    let mut joins = Vec::new();
    for members in &database.nets {
        let mut tiles: Vec<Tile> = members.iter().map(|&(tile, _)| tile).collect();
        tiles.dedup();
        let global = tiles.len() > GLOBAL;
        for &member in &members[1..] {
            // A global net is joined by its name.
            let name = &database.names[usize::from(member.1)];
            if !(global && name.starts_with("glb_netwk_")) && sets.join(members[0], member) {
                joins.push((members[0], member));
            }
        }
    }
    joins
}

/// The tile at a distance.
fn at((x, y): Tile, dx: i8, dy: i8) -> Option<Tile> {
    let x = x.checked_add_signed(dx).filter(|&x| x < COLUMNS)?;
    let y = y.checked_add_signed(dy).filter(|&y| y < ROWS)?;
    Some((x, y))
}

/// Disjoint sets of wires.
struct Sets {
    numbers: HashMap<(Tile, u16), u32>,
    parent: Vec<u32>,
}

impl Sets {
    fn new(index: &Index) -> Self {
        let numbers: HashMap<_, _> = index.net.keys().copied().zip(0..).collect();
        let parent = (0..numbers.len() as u32).collect();
        Self { numbers, parent }
    }

    fn root(&mut self, wire: (Tile, u16)) -> u32 {
        let mut node = self.numbers[&wire];
        while self.parent[node as usize] != node {
            let above = self.parent[self.parent[node as usize] as usize];
            self.parent[node as usize] = above;
            node = above;
        }
        node
    }

    /// Joins two sets and says whether they were two.
    fn join(&mut self, a: (Tile, u16), b: (Tile, u16)) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a as usize] = b;
        a != b
    }
}
