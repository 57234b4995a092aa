internal import EventLoop
internal import Glibc
internal import Messages
internal import RPC
internal import TLS

/// What passwords cost, and how often they may be wrong.
public struct PasswordSettings: Sendable {
  /// The binary logarithm of scrypt's cost N for new hashes: 12 to 20; each more doubles time and
  /// memory.
  ///
  /// Default 17: 128 MiB.
  public var cost = Passwords.standardCost
  /// Wrong passwords for an e-mail address in ``wrongPeriod``, after which it has to wait.
  ///
  /// Default 10.
  public var wrongMax = 10
  /// Wrong passwords from an address (IPv6: a /64) in ``wrongPeriod``, after which it has to wait.
  ///
  /// Default 100.
  public var wrongPerAddressMax = 100
  /// The period that both count in.
  ///
  /// Default 15 min.
  public var wrongPeriod: Duration = .seconds(900)

  /// What ``cost`` may be.
  public static let costs = PasswordHash.costs

  /// Makes the defaults.
  public init() {}
}

/// Hashes and compares passwords on threads of their own, a few at a time, so that neither the
/// processor nor the memory of a server is theirs to take.
public struct Passwords: Sendable {
  /// Bytes of a new password.
  static let bytes = 12...1_024
  /// Bytes of a password that is tried: whatever its rules were when it was made.
  static let triedBytesMax = 1_024
  /// Hashes at once, at most; each takes 128 MiB at the standard cost.
  public static let threadsMax = 2
  /// Hashes at once: half of the processors are never theirs, at whatever priority.
  public static let threads = min(threadsMax, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))
  /// Hashes that wait, beyond which a call is asked to come back.
  public static let waitingMax = 64

  /// The cost of new hashes where nothing else is said: N = 2^17, 128 MiB.
  public static let standardCost = 17

  private let cost: Int
  private let helpers: HelperThreads
  private let throttle: LoginThrottle

  /// Makes hashes of the cost that the settings say.
  public init(_ settings: PasswordSettings = PasswordSettings()) {
    cost = settings.cost
    throttle = LoginThrottle(settings)
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

  /// Refuses a call from an address that has tried too many wrong passwords, before anything is
  /// looked up for it.
  func admit(_ call: CallContext) throws(CallError) {
    if let wait = throttle.wait(for: call.addressBlock, now: call.loop.now.nanoseconds) {
      throw throttled(wait, call)
    }
  }

  /// Whether a password is the stored one; where none is stored it takes as long to say no.
  ///
  /// `account` is the e-mail address as it is compared, whether anybody has it or not: wrong
  /// passwords count for it and for where the call comes from.
  ///
  /// - Throws: ``CallError`` LOGIN_THROTTLED without a look at the password, where too many were
  ///   wrong; or that too many wait.
  func matches(
    _ password: String, _ stored: String?, of account: String, _ call: CallContext
  ) async throws(CallError) -> Bool {
    let block = call.addressBlock
    if let wait = throttle.begin(account, from: block, now: call.loop.now.nanoseconds) {
      throw throttled(wait, call)
    }
    let isRight: Bool
    do throws(CallError) {
      isRight = try await compare(password, stored)
    } catch {
      throttle.takeBack(account, from: block)
      throw error
    }
    if isRight {
      throttle.succeeded(account, from: block)
    } else {
      call.countWrongPassword()
    }
    return isRight
  }

  private func compare(_ password: String, _ stored: String?) async throws(CallError) -> Bool {
    let hash =
      stored.flatMap { PasswordHash(stored: $0) } ?? PasswordHash.impossible(cost: cost)
    let answer = await helpers.runIfFree { hash.matches(password) }
    guard let answer else { throw busy() }
    guard let answer else { throw outOfMemory() }
    return answer
  }

  /// Whether a stored password should be hashed anew when it is next known.
  func isOutdated(_ stored: String) -> Bool { PasswordHash(stored: stored)?.cost != cost }

  private func throttled(_ wait: UInt64, _ call: CallContext) -> CallError {
    call.countThrottledPassword()
    return CallError(
      IdentityErrorReason.loginThrottled,
      "Too many wrong passwords, for this person or from this address; wait and try again.",
      retryAfter: .nanoseconds(Int64(clamping: wait)))
  }

  private func busy() -> CallError {
    CallError(
      RpcErrorReason.rateLimited, "Too many passwords wait to be checked; try again shortly.",
      retryAfter: .seconds(1))
  }

  private func outOfMemory() -> CallError {
    .internal("there is no memory for a password's hash of cost \(cost)")
  }
}

extension Validator {
  /// Checks the length of a password that somebody chooses.
  mutating func newPassword(_ field: String, _ password: String) {
    let (count, bytes) = (password.utf8.count, Passwords.bytes)
    if !bytes.contains(count) {
      refuse(field, "must be \(bytes.lowerBound) to \(bytes.upperBound) bytes, is \(count)")
    }
  }

  /// Checks the length of a password that is tried, before anything is made of it.
  mutating func triedPassword(_ field: String, _ password: String, isNeeded: Bool) {
    if password.isEmpty, isNeeded { refuse(field, "must not be empty") }
    text(field, password, bytesMax: Passwords.triedBytesMax)
  }
}
