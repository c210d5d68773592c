import threading

from hyper2kvm_operator.reconcile.queue import WorkQueue


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_keys_come_in_the_order_in_which_they_are_due():
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add("later", 5)
    queue.add("first")
    queue.add("second")
    assert [queue.take(0), queue.take(0), queue.take(0)] == ["first", "second", None]
    clock.now += 5
    assert queue.take(0) == "later"


def test_a_key_waits_once_and_the_earlier_moment_counts():
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add("a", 60)
    queue.add("a", 1)
    queue.add("a", 30)
    clock.now += 1
    assert queue.take(0) == "a"
    clock.now += 100
    queue.done("a")
    assert queue.take(0) is None


def test_a_key_is_never_worked_on_twice_at_a_time():
    queue = WorkQueue(Clock())
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add("a")
    queue.add("b")
    assert queue.take(0) == "b"
    assert queue.take(0) is None
    queue.done("a")
    assert queue.take(0) == "a"


def test_failures_pause_longer_each_time_and_success_forgets_them():
    clock = Clock()
    queue = WorkQueue(clock)
    pauses = []
    queue.add("a")
    for _ in range(12):
        clock.now += 1000
        queue.take(0)
        pauses.append(queue.done("a", failed=True))
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 60
    clock.now += 1000
    queue.take(0)
    assert queue.done("a") is None
    queue.add("a")
    queue.take(0)
    assert queue.done("a", failed=True) == 1


def test_something_that_happens_ends_a_pause():
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add("a")
    queue.take(0)
    queue.done("a", failed=True)
    queue.add("a")
    assert queue.take(0) == "a"


def test_closing_lets_waiting_workers_end():
    queue = WorkQueue()
    ended = []
    worker = threading.Thread(target=lambda: ended.append(queue.take()))
    worker.start()
    queue.close()
    worker.join(5)
    assert ended == [None]
