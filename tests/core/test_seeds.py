"""Side streams of noise: what a seed means must not change, and no two streams may meet."""

from __future__ import annotations

import itertools

import torch

from stereo_core.seeds import Stream, derive_seed, make_generator


def test_a_seed_keeps_its_meaning():
    assert derive_seed(5, Stream.HOLES) == 5 + 0x5DEECE66D
    assert derive_seed(5, Stream.RESTART) == 5 + 0x2545F4914
    assert derive_seed(5, Stream.REFINE, step=7) == 5 + 0x369DEA0F3 + 7
    assert derive_seed(5, Stream.REPEAT, step=7, repeat=2) == 5 + 0x1F83D9ABF + 7 * 0x9E3779B1 + 2 * 0x3C6EF372FE9
    assert derive_seed(5, Stream.PIECE, step=7) == 5 + 7 * 0x9E3779B1
    assert derive_seed(5, Stream.COMPOSITION) == 5 + 0x2545F491


def test_the_largest_seed_fits_a_generator():
    for stream in Stream:
        seed = derive_seed(2**64 - 1, stream, 100, 50)
        assert 0 <= seed < 2**63
        assert make_generator(2**64 - 1, stream, 100, 50).initial_seed() == seed


def test_no_two_draws_of_a_run_are_the_same_noise():
    seeds = [derive_seed(0, stream) for stream in (Stream.HOLES, Stream.RESTART, Stream.COMPOSITION)]
    seeds += [derive_seed(0, stream, step) for stream in (Stream.REFINE, Stream.PIECE) for step in range(1, 60)]
    seeds += [derive_seed(0, Stream.REPEAT, step, n) for step, n in itertools.product(range(60), range(1, 50))]
    assert len({0, *seeds}) == 1 + len(seeds)


def test_generators_of_one_draw_agree():
    first, second = (make_generator(3, Stream.RESTART) for _ in range(2))
    assert torch.equal(torch.randn(4, generator=first), torch.randn(4, generator=second))
