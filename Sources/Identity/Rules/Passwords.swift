internal import EventLoop
internal import Messages
internal import RPC
internal import TLS

/// Hashes and compares passwords on threads of their own, a few at a time, so that neither the
/// processor nor the memory of a server is theirs to take.
public struct Passwords: Sendable {
  /// Bytes of a new password.
  static let bytes = 12...1_024
  /// Bytes of a password that is tried: whatever its rules were when it was made.
  static let triedBytesMax = 1_024
  /// Hashes at once; each takes 128 MiB at the standard cost.
  public static let threads = 2
  /// Hashes that wait, beyond which a call is asked to come back.
  public static let waitingMax = 64

  /// The cost of new hashes where nothing else is said: N = 2^17, 128 MiB.
  public static let standardCost = 17

  private let cost: Int
  private let helpers: HelperThreads

  /// Makes hashes of scrypt's cost N = 2^`cost`.
  public init(cost: Int = Passwords.standardCost) {
    self.cost = cost
    helpers = HelperThreads(
      "needletail-pass", countMax: Passwords.threads, waitingMax: Passwords.waitingMax,
      isPatient: true)
  }

  /// The form in which a password is stored.
  func hash(_ password: String) async throws(CallError) -> String {
    let hash = await helpers.runIfFree { [cost] in PasswordHash(password, cost: cost)?.stored }
    guard let hash else { throw busy() }
    guard let hash else { throw outOfMemory() }
    return hash
  }

  /// Whether a password is the stored one; where none is stored it takes as long to say no.
  func matches(_ password: String, _ stored: String?) async throws(CallError) -> Bool {
    let hash =
      stored.flatMap { PasswordHash(stored: $0) } ?? PasswordHash.impossible(cost: cost)
    let answer = await helpers.runIfFree { hash.matches(password) }
    guard let answer else { throw busy() }
    guard let answer else { throw outOfMemory() }
    return answer
  }

  /// Whether a stored password should be hashed anew when it is next known.
  func isOutdated(_ stored: String) -> Bool { PasswordHash(stored: stored)?.cost != cost }

  private func busy() -> CallError {
    CallError(
      RpcErrorReason.rateLimited, "Too many passwords wait to be checked; try again shortly.",
      retryAfter: .seconds(1))
  }

  private func outOfMemory() -> CallError {
    .internal("there is no memory for a password's hash of cost \(cost)")
  }
}
