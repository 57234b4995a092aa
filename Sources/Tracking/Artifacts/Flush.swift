internal import EventLoop
internal import RPC

/// The way of an upload's bytes to the disk, beside which more of them come; one at a time.
///
/// Lives on a loop.
final class Flush {
  /// What came of the last, until somebody has taken it.
  var outcome: Result<Void, CallError>?
  private var isUnderWay = false
  private let ended = Signal()

  /// Begins one; `finally` runs when its outcome is there.
  func begin(
    _ loop: Loop, _ work: @escaping () async throws(CallError) -> Void,
    finally: @escaping () -> Void
  ) {
    isUnderWay = true
    loop.spawn { [self] in
      do throws(CallError) {
        outcome = .success(try await work())
      } catch {
        outcome = .failure(error)
      }
      isUnderWay = false
      ended.notify()
      finally()
    }
  }

  /// Returns when none is under way; the disk says when that is, not who waits.
  func settle() async {
    while isUnderWay {
      await Waiter.suspend(unless: { !isUnderWay }) { waiter in
        _ = ended.next { waiter.resume() }
      }
    }
  }
}
