//! Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's method.

/// A = V diag(values) V^T of a symmetric matrix A [n, n].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Eigen {
    /// The eigenvalues, in no particular order.
    pub(crate) values: Vec<f64>,
    /// [n, n]: row i is the unit eigenvector of `values[i]`.
    pub(crate) vectors: Vec<f64>,
}

/// More than any matrix takes: convergence is quadratic once the matrix is nearly diagonal, after some 5 to 10.
const MAX_SWEEPS: usize = 60;

/// Diagonalises the symmetric matrix `a` [n, n], row-major, by cyclic Jacobi rotations (Golub and Van Loan, Matrix
/// Computations, 4th edition, section 8.5): each rotation makes one off-diagonal element zero, until all of them
/// are below the rounding error of the diagonal. Only the upper triangle is trusted to be symmetric by rounding.
///
/// # Panics
/// When `a` does not have n^2 elements.
pub(crate) fn symmetric_eigen(a: &[f64], n: usize) -> Eigen {
    assert_eq!(a.len(), n * n, "a matrix [{n}, {n}]");
    let mut a = a.to_vec();
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..MAX_SWEEPS {
        let off_diagonal: f64 =
            (0..n).flat_map(|i| a[i * n + i + 1..(i + 1) * n].iter()).map(|x| x * x).sum();
        if off_diagonal <= (f64::EPSILON * f64::EPSILON) * 1e-4 * total {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if let Some(rotation) = Rotation::annihilating(&a, n, p, q) {
                    rotation.rows(&mut a, n, p, q);
                    rotation.columns(&mut a, n, p, q);
                    rotation.rows(&mut vectors, n, p, q);
                }
            }
        }
    }
    Eigen { values: (0..n).map(|i| a[i * n + i]).collect(), vectors }
}

/// A plane rotation.
#[derive(Clone, Copy)]
struct Rotation {
    cos: f64,
    sin: f64,
}

impl Rotation {
    /// The smaller of the two rotations that make a[p, q] zero; `None` where it is zero already.
    fn annihilating(a: &[f64], n: usize, p: usize, q: usize) -> Option<Rotation> {
        let off = a[p * n + q];
        if off == 0.0 {
            return None;
        }
        let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
        // hypot does not overflow where tau^2 would.
        let t = tau.signum() / (tau.abs() + tau.hypot(1.0));
        let cos = 1.0 / t.hypot(1.0);
        Some(Rotation { cos, sin: t * cos })
    }

    /// Turns rows p < q of `a` [n, n].
    fn rows(self, a: &mut [f64], n: usize, p: usize, q: usize) {
        let (head, tail) = a.split_at_mut(q * n);
        for (x, y) in head[p * n..][..n].iter_mut().zip(&mut tail[..n]) {
            (*x, *y) = (self.cos * *x - self.sin * *y, self.sin * *x + self.cos * *y);
        }
    }

    /// Turns columns p < q of `a` [n, n].
    fn columns(self, a: &mut [f64], n: usize, p: usize, q: usize) {
        for row in a.chunks_exact_mut(n) {
            let (x, y) = (row[p], row[q]);
            row[p] = self.cos * x - self.sin * y;
            row[q] = self.sin * x + self.cos * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn random_symmetric(n: usize, rank: usize) -> Vec<f64> {
        let mut stream = Stream::new(3, "symmetric", n as u64);
        let b: Vec<f64> = (0..n * rank).map(|_| stream.normal()).collect();
        let dot = |i: usize, j: usize| (0..rank).map(|k| b[i * rank + k] * b[j * rank + k]).sum();
        (0..n * n).map(|k| dot(k / n, k % n)).collect()
    }

    #[test]
    fn the_factors_multiply_to_the_matrix_and_the_vectors_are_orthonormal() {
        // Full rank, one of rank 5, one that is diagonal, one of a single number.
        let mut diagonal = vec![0.0; 9];
        (diagonal[0], diagonal[4], diagonal[8]) = (3.0, -1.0, 3.0);
        for (a, n) in
            [(random_symmetric(40, 60), 40), (random_symmetric(33, 5), 33), (diagonal, 3), (vec![-2.0], 1)]
        {
            let eigen = symmetric_eigen(&a, n);
            let scale = a.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
            for i in 0..n {
                for j in 0..n {
                    let v = |k: usize, i: usize| eigen.vectors[k * n + i];
                    let product: f64 = (0..n).map(|k| v(k, i) * eigen.values[k] * v(k, j)).sum();
                    assert!((product - a[i * n + j]).abs() < 1e-13 * scale * n as f64, "{i} {j}");
                    let inner: f64 = (0..n).map(|k| v(i, k) * v(j, k)).sum();
                    assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-13, "{i} {j}: {inner}");
                }
            }
        }
    }

    #[test]
    fn known_eigenvalues_are_found() {
        // The second difference matrix has the eigenvalues 2 - 2 cos(k pi / (n + 1)).
        let n = 50usize;
        let a: Vec<f64> = (0..n * n)
            .map(|k| match (k / n).abs_diff(k % n) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
            .collect();
        let mut values = symmetric_eigen(&a, n).values;
        values.sort_by(f64::total_cmp);
        for (k, value) in values.into_iter().enumerate() {
            let known = 2.0 - 2.0 * ((k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64).cos();
            assert!((value - known).abs() < 1e-14 * 50.0, "{k}: {value} {known}");
        }
    }
}
