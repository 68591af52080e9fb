"""How threads wait: spinning where every thread has a processor, giving way elsewhere. And memory that stays."""

import pytest

from mcvd.runtime.machine import choose_waiting, keep_freed_memory


@pytest.mark.parametrize(
    ("load", "given", "spins"),
    [(0.2, {}, True), (1.0, {}, False), (3.0, {}, False), (1.0, {"OMP_NUM_THREADS": "1"}, True)],
    ids=["idle", "one neighbour", "busy", "one neighbour, one thread"],
)
def test_threads_spin_where_there_is_a_processor_for_each(load, given, spins):
    environment = dict(given)
    choose_waiting(environment, load, num_cpus=2)
    assert ("OMP_WAIT_POLICY" in environment) is not spins
    assert (int(environment["GOMP_SPINCOUNT"]) > 0) is spins


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_user_has_said_stays(name):
    environment = {name: "7"}
    choose_waiting(environment, 0.0, num_cpus=2)
    assert environment == {name: "7"}


@pytest.mark.parametrize("most", [1 << 40, 32 << 20], ids=["today's glibc", "older glibc"])
def test_large_tensors_reuse_freed_memory(most):
    taken = {}

    def mallopt(option, value):
        taken.update({option: value} if value <= most or option != -3 else {})
        return int(option in taken)

    keep_freed_memory(mallopt)
    assert 32 << 20 <= taken[-3] <= most
    assert taken[-1] > taken[-3]


def test_a_library_that_maps_every_large_tensor_anyway_keeps_its_own_rule():
    asked = []

    def refuses(option, value):
        asked.append(option)
        return 0

    keep_freed_memory(refuses)
    assert set(asked) == {-3}
