//! Which signals depend on each other in a ring.

/// The strongly connected components of a graph (Tarjan's algorithm, without recursion: a ring can
/// be as long as the chip has cells). `needs` gives what a node depends on. Every component comes
/// after those that it depends on.
pub(super) fn components<I>(
    nodes: impl IntoIterator<Item = usize>,
    count: usize,
    needs: impl Fn(usize) -> I,
) -> Vec<Vec<usize>>
where
    I: Iterator<Item = usize>,
{
    const NEW: u32 = u32::MAX;
    const DONE: u32 = u32::MAX - 1;
    // The number of a node in the order of discovery, and then the lowest that it can reach.
    let mut low = vec![NEW; count];
    let mut found = 0;
    let mut open: Vec<usize> = Vec::new();
    let mut path: Vec<(usize, u32, I)> = Vec::new();
    let mut components = Vec::new();
    for root in nodes {
        let mut next = (low[root] == NEW).then_some(root);
        loop {
            if let Some(node) = next.take() {
                low[node] = found;
                open.push(node);
                path.push((node, found, needs(node)));
                found += 1;
            }
            let Some((node, number, rest)) = path.last_mut() else { break };
            let (node, number) = (*node, *number);
            match rest.next() {
                Some(needed) if low[needed] == NEW => next = Some(needed),
                Some(needed) if low[needed] == DONE => {}
                Some(needed) => low[node] = low[node].min(low[needed]),
                None => {
                    path.pop();
                    if low[node] == number {
                        let begin = open.iter().rposition(|&other| other == node).unwrap_or(0);
                        let component = open.split_off(begin);
                        component.iter().for_each(|&member| low[member] = DONE);
                        components.push(component);
                    } else if let Some(&(above, ..)) = path.last() {
                        low[above] = low[above].min(low[node]);
                    }
                }
            }
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reach(edges: &[Vec<usize>], from: usize) -> Vec<bool> {
        let mut seen = vec![false; edges.len()];
        let mut open = edges[from].clone();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                open.extend(&edges[node]);
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn components_are_what_reaches_each_other(
            edges in prop::collection::vec(prop::collection::vec(0usize..20, 0..4), 20),
        ) {
            let found = components(0..20, 20, |node| edges[node].iter().copied());
            let reaches: Vec<Vec<bool>> = (0..20).map(|node| reach(&edges, node)).collect();
            let mut of = [0; 20];
            for (number, component) in found.iter().enumerate() {
                component.iter().for_each(|&node| of[node] = number);
            }
            prop_assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 20);
            for a in 0..20 {
                for b in (0..20).filter(|&b| b != a) {
                    prop_assert_eq!(of[a] == of[b], reaches[a][b] && reaches[b][a]);
                    prop_assert!(!reaches[a][b] || of[b] <= of[a]);
                }
            }
        }
    }
}
