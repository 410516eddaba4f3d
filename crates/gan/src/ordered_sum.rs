//! A sum over the micro-batches of a step that ranks have between them, in the order of the micro-batches.

use gannet_tensor::Element;

use crate::collective::Collective;
use crate::error::Result;

/// The sum of what the micro-batches of a step give, in their order, from 0 on: what one rank alone computes by adding one
/// after the other. Micro-batches are dealt out in turn, so that each rank has one in each round.
///
/// Each rank owns a part of the sum. In a round all send every owner its part of what they have (a reduce-scatter), and the
/// owner adds these in the order of the ranks, which is that of the micro-batches. After the last round all send all what
/// they own. So no rank keeps more than one summand, and the order of the additions does not depend on how many ranks there
/// are. The memory is kept from step to step.
pub(crate) struct OrderedSum<E> {
    /// The numbers of the sum.
    len: usize,
    /// The part that this rank owns, and behind it what else it has for all.
    own: Vec<E>,
    /// A summand, made longer to equal parts.
    summand: Vec<E>,
    received: Vec<E>,
}

impl<E: Element> OrderedSum<E> {
    pub(crate) fn new() -> OrderedSum<E> {
        OrderedSum { len: 0, own: Vec::new(), summand: Vec::new(), received: Vec::new() }
    }

    /// Begins a sum of `len` numbers among so many ranks.
    pub(crate) fn begin(&mut self, len: usize, ranks: usize) {
        let part = len.div_ceil(ranks);
        self.len = len;
        self.own.clear();
        self.own.resize(part, E::ZERO);
        self.summand.resize(part * ranks, E::ZERO);
    }

    /// Where this rank's summand of a round goes.
    pub(crate) fn summand(&mut self) -> &mut [E] {
        &mut self.summand[..self.len]
    }

    /// Adds the summands of a round, one of each rank.
    pub(crate) fn add(&mut self, ranks: &mut dyn Collective<E>) -> Result<()> {
        self.received.resize(self.summand.len(), E::ZERO);
        ranks.all_to_all(&self.summand, &mut self.received)?;
        for summand in self.received.chunks_exact(self.own.len().max(1)) {
            self.own.iter_mut().zip(summand).for_each(|(sum, x)| *sum += *x);
        }
        Ok(())
    }

    /// The sum, and the others' `beside`, of which each rank has as many for each of its rounds: those of all micro-batches,
    /// in their order.
    pub(crate) fn end(
        &mut self,
        ranks: &mut dyn Collective<E>,
        beside: &[E],
        rounds: usize,
    ) -> Result<(&[E], Vec<E>)> {
        let (part, count) = (self.own.len(), ranks.ranks());
        self.own.extend_from_slice(beside);
        let each = self.own.len();
        self.received.resize(count * each, E::ZERO);
        ranks.all_gather(&self.own, &mut self.received)?;
        for (sum, of_rank) in
            self.summand.chunks_exact_mut(part.max(1)).zip(self.received.chunks_exact(each.max(1)))
        {
            sum.copy_from_slice(&of_rank[..part]);
        }
        let of_round = beside.len() / rounds;
        let mut all = Vec::with_capacity(count * beside.len());
        for round in 0..rounds {
            for of_rank in self.received.chunks_exact(each.max(1)) {
                all.extend_from_slice(&of_rank[part + round * of_round..][..of_round]);
            }
        }
        Ok((&self.summand[..self.len], all))
    }
}
