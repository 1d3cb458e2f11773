//! Which wires are one net.

use super::super::cram::{COLUMNS, ROWS};
use super::{Kind, Net, Tile, all_tiles, index};

/// In every tile of kind `kind`, wire `wire` is the same net as wire `other_wire` of the tile that
/// lies `dx` columns to the right and `dy` rows above, if that is of kind `other_kind`.
pub(super) struct Rule {
    pub(super) kind: u8,
    pub(super) wire: u16,
    pub(super) dx: i8,
    pub(super) dy: i8,
    pub(super) other_kind: u8,
    pub(super) other_wire: u16,
}

/// Two wires that are one net without a rule.
pub(super) struct Join {
    pub(super) a: (Tile, u16),
    pub(super) b: (Tile, u16),
}

/// Numbers the nets: the net of every wire, and how many nets there are.
pub(super) fn number(
    tiles: &[u8],
    kinds: &[Kind],
    first_wire: &[u32],
    rules: &[Rule],
    joins: &[Join],
) -> (Vec<Net>, usize) {
    let node = |tile: Tile, wire: u16| first_wire[index(tile)] + u32::from(wire);
    let count = first_wire.last().map_or(0, |&first| first as usize)
        + tiles.last().map_or(0, |&kind| kinds[usize::from(kind)].wires.len());
    let mut sets = Sets { parent: (0..count as u32).collect() };

    let mut places = vec![Vec::new(); kinds.len()];
    for tile in all_tiles() {
        places[usize::from(tiles[index(tile)])].push(tile);
    }
    for rule in rules {
        for &tile in &places[usize::from(rule.kind)] {
            let Some(other) = neighbour(tile, rule.dx, rule.dy) else { continue };
            if tiles[index(other)] == rule.other_kind {
                sets.join(node(tile, rule.wire), node(other, rule.other_wire));
            }
        }
    }
    for join in joins {
        sets.join(node(join.a.0, join.a.1), node(join.b.0, join.b.1));
    }
    // The global nets are the same everywhere.
    let mut globals = [None; 8];
    for tile in all_tiles() {
        for (wire, global) in
            kinds[usize::from(tiles[index(tile)])].global_of_wire.iter().enumerate()
        {
            if let Some(global) = global {
                let here = node(tile, wire as u16);
                sets.join(here, *globals[usize::from(*global)].get_or_insert(here));
            }
        }
    }
    sets.number()
}

/// The tile at a distance, if it is on the chip.
pub(super) fn neighbour(tile: Tile, dx: i8, dy: i8) -> Option<Tile> {
    let x = tile.x.checked_add_signed(dx).filter(|&x| x < COLUMNS)?;
    let y = tile.y.checked_add_signed(dy).filter(|&y| y < ROWS)?;
    Some(Tile { x, y })
}

/// Disjoint sets; the smallest member of a set is its root.
struct Sets {
    parent: Vec<u32>,
}

impl Sets {
    fn root(&mut self, mut node: u32) -> u32 {
        loop {
            let parent = self.parent[node as usize];
            if parent == node {
                return node;
            }
            let above = self.parent[parent as usize];
            self.parent[node as usize] = above;
            node = above;
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// Consecutive numbers for the sets, and how many there are.
    fn number(mut self) -> (Vec<Net>, usize) {
        let mut count = 0;
        for node in 0..self.parent.len() {
            let parent = self.parent[node] as usize;
            // Roots come before their members, so a parent already has its number.
            self.parent[node] = if parent == node {
                count += 1;
                count - 1
            } else {
                self.parent[parent]
            };
        }
        (self.parent, count as usize)
    }
}
