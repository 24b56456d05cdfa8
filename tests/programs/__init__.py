"""Ordinary programs for Ray, run on nbactors and on real Ray: they must print the same.

    sources/       the programs, which know only Ray
    ray_outputs/   what each has printed on real Ray, with the version of Ray; `scripts/programs-ray` writes them
    running        runs a program on one of the two, and changes its imports for nbactors

Without Ray, a program's output on nbactors is compared with the stored one. With `--engine ray`, both run.
"""
