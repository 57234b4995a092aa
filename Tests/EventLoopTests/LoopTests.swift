import EventLoop
import Synchronization
import Testing

@Suite struct LoopTests {
  @Test("A task begins in the same turn and resumes on its loop, in order")
  func tasks() async throws {
    let harness = try LoopHarness()
    let entries = await harness.run { loop in
      let journal = Journal()
      let signal = Signal()
      journal.entries.append("before")
      loop.spawn {
        journal.entries.append("begun")
        await signal.wait(unless: { false })
        journal.entries.append("resumed")
      }
      journal.entries.append("after")
      loop.schedule(after: .milliseconds(1)) {
        journal.entries.append("next turn")
        signal.notify()
      }
      await signal.wait(unless: { false })
      journal.entries.append("second waiter")
      return journal.entries
    }
    #expect(entries == ["before", "after", "begun", "next turn", "second waiter"])
    await harness.stop()
  }

  @Test("A group that has stopped has freed what lived on its loops")
  func stopped() async throws {
    for _ in 0..<100 {
      let inhabitants = Inhabitants()
      let group = try LoopGroup(count: 2) { loop, _ in loop.attachment = Inhabitant(inhabitants) }
      group.stop()
      await group.waitUntilStopped()
      #expect(inhabitants.count.load(ordering: .sequentiallyConsistent) == 0)
    }
  }

  @Test("Timers run in the order of their moments, never early, and a cancelled one never runs")
  func timers() async throws {
    let harness = try LoopHarness()
    let (entries, early) = await harness.run { loop -> ([String], Int) in
      let journal = Journal()
      let done = Signal()
      var early = 0
      for milliseconds in [70, 3, 150, 65, 1, 64] {
        let start = loop.now
        loop.schedule(after: .milliseconds(milliseconds)) {
          if Instant.now() < start.advanced(by: .milliseconds(milliseconds)) { early += 1 }
          journal.entries.append("\(milliseconds)")
          if milliseconds == 150 { done.notify() }
        }
      }
      let cancelled = loop.schedule(after: .milliseconds(5)) { journal.entries.append("cancelled") }
      loop.cancel(cancelled)
      loop.cancel(cancelled)
      await done.wait(unless: { false })
      return (journal.entries, early)
    }
    #expect(entries == ["1", "3", "64", "65", "70", "150"])
    #expect(early == 0)
    await harness.stop()
  }

  @Test("What is asked for the end of a turn runs once, after everything that was ready")
  func endOfTurn() async throws {
    let harness = try LoopHarness()
    let entries = await harness.run { loop in
      let journal = Journal()
      let signal = Signal()
      let handler = TurnJournal(journal, signal)
      loop.atEndOfTurn(handler)
      loop.spawn { journal.entries.append("task") }
      await signal.wait(unless: { false })
      return journal.entries
    }
    #expect(entries == ["task", "end of turn"])
    await harness.stop()
  }

  @Test("Work that blocks runs elsewhere while the loop goes on")
  func offload() async throws {
    let harness = try LoopHarness()
    let entries = await harness.run { loop in
      let journal = Journal()
      let gate = Gate()
      // The blocked work ends only when the loop, still turning, opens the gate.
      loop.schedule(after: .milliseconds(2)) {
        journal.entries.append("loop turned")
        gate.open()
      }
      let answer = await loop.offload {
        gate.waitUntilOpen()
        return 42
      }
      journal.entries.append("answer \(answer)")
      return journal.entries
    }
    #expect(entries == ["loop turned", "answer 42"])
    await harness.stop()
  }

  @Test("Of much work that blocks four pieces run at once, the others wait, and all of it runs")
  func boundedHelpers() async throws {
    let harness = try LoopHarness()
    let most = await harness.run { loop in
      let busy = Busy()
      let gate = Gate()
      let done = Signal()
      var ended = 0
      for _ in 0..<20 {
        loop.spawn {
          await loop.offload { busy.work(until: gate) }
          ended += 1
          done.notify()
        }
      }
      busy.openWhenFull(gate, loop)
      while ended < 20 { await done.wait(unless: { ended == 20 }) }
      return busy.most
    }
    #expect(most == 4)
    await harness.stop()
  }

  @Test("A post reaches its own loop", arguments: [0, 1, 2])
  func posts(index: Int) async throws {
    let harness = try LoopHarness(loops: 3)
    let seen = await withCheckedContinuation { continuation in
      harness.mailboxes[index].post { loop in
        continuation.resume(returning: (loop.attachment as? LoopIndex)?.value)
      }
    }
    #expect(seen == index)
    await harness.stop()
  }

  @Test("Many posts from many threads all run")
  func manyPosts() async throws {
    let harness = try LoopHarness()
    let mailbox = harness.mailboxes[0]
    mailbox.post { $0.attachment = Journal() }
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for number in 0..<1_000 {
            mailbox.post { ($0.attachment as? Journal)?.entries.append("\(task) \(number)") }
          }
        }
      }
    }
    let count = await harness.run { loop in
      Set((loop.attachment as? Journal)?.entries ?? []).count
    }
    #expect(count == 8_000)
    await harness.stop()
  }

  @Test("A cancellation runs its actions once, and later ones at once")
  func cancellation() async throws {
    let harness = try LoopHarness()
    let entries = await harness.run { _ in
      let journal = Journal()
      let cancellation = Cancellation()
      cancellation.onCancel { journal.entries.append("first \($0)") }
      let token = cancellation.onCancel { _ in journal.entries.append("removed") }
      cancellation.remove(token)
      cancellation.cancel(.deadlineExceeded)
      cancellation.cancel(.cancelled)
      cancellation.onCancel { journal.entries.append("late \($0)") }
      return journal.entries
    }
    #expect(entries == ["first deadlineExceeded", "late deadlineExceeded"])
    await harness.stop()
  }
}

private final class TurnJournal: TurnHandler {
  private let journal: Journal
  private let signal: Signal

  init(_ journal: Journal, _ signal: Signal) {
    self.journal = journal
    self.signal = signal
  }

  func endOfTurn() {
    journal.entries.append("end of turn")
    signal.notify()
  }
}

/// How many values live on loops.
private final class Inhabitants: Sendable {
  let count = Atomic<Int>(0)
}

/// A value that lives on a loop.
private final class Inhabitant {
  private let all: Inhabitants

  init(_ all: Inhabitants) {
    self.all = all
    all.count.add(1, ordering: .sequentiallyConsistent)
  }

  deinit { all.count.subtract(1, ordering: .sequentiallyConsistent) }
}

/// Counts how much work is under way at once.
private final class Busy: Sendable {
  private let counts = Mutex<(running: Int, most: Int)>((0, 0))

  var most: Int { counts.withLock { $0.most } }

  func work(until gate: Gate) {
    counts.withLock { counts in
      counts.running += 1
      counts.most = max(counts.most, counts.running)
    }
    gate.waitUntilOpen()
    counts.withLock { $0.running -= 1 }
  }

  /// Opens the gate once as many work as can.
  func openWhenFull(_ gate: Gate, _ loop: Loop) {
    if most >= 4 { return gate.open() }
    loop.schedule(after: .milliseconds(1)) { [self] in openWhenFull(gate, loop) }
  }
}
