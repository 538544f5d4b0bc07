//! A block of four by four values, transposed in registers.

use std::array::from_fn;

/// A type of which a block can be transposed in registers.
pub(crate) trait Transpose: Copy {
    /// The transposed block.
    fn transpose(block: [[Self; 4]; 4]) -> [[Self; 4]; 4];
}

/// The form without intrinsics. The compiler turns it into single loads and stores, which take twice
/// as long as all the rest of packing.
#[inline(always)]
fn plain<T: Copy>(block: [[T; 4]; 4]) -> [[T; 4]; 4] {
    from_fn(|j| from_fn(|i| block[i][j]))
}

impl Transpose for f32 {
    #[inline(always)]
    fn transpose(block: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
        #[cfg(target_arch = "x86_64")]
        if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
            use pulp::bytemuck::cast;
            let [a, b, c, d] = block.map(cast::<_, std::arch::x86_64::__m128>);
            let (ab, cd) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpacklo_ps(c, d)); // a0 b0 a1 b1
            let (ef, gh) = (sse._mm_unpackhi_ps(a, b), sse._mm_unpackhi_ps(c, d)); // a2 b2 a3 b3
            return [
                sse._mm_movelh_ps(ab, cd),
                sse._mm_movehl_ps(cd, ab),
                sse._mm_movelh_ps(ef, gh),
                sse._mm_movehl_ps(gh, ef),
            ]
            .map(cast);
        }
        plain(block)
    }
}

impl Transpose for f64 {
    #[inline(always)]
    fn transpose(block: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
        #[cfg(target_arch = "x86_64")]
        if let Some(sse) = pulp::core_arch::x86::Sse2::try_new() {
            use pulp::bytemuck::cast;
            let [[a, e], [b, f], [c, g], [d, h]] =
                block.map(cast::<_, [std::arch::x86_64::__m128d; 2]>);
            return [
                [sse._mm_unpacklo_pd(a, b), sse._mm_unpacklo_pd(c, d)],
                [sse._mm_unpackhi_pd(a, b), sse._mm_unpackhi_pd(c, d)],
                [sse._mm_unpacklo_pd(e, f), sse._mm_unpacklo_pd(g, h)],
                [sse._mm_unpackhi_pd(e, f), sse._mm_unpackhi_pd(g, h)],
            ]
            .map(cast);
        }
        plain(block)
    }
}
