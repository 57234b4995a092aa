internal import EventLoop
internal import RPC
internal import Synchronization

/// Which accounts and addresses have tried too many wrong passwords of late, in this process.
///
/// An attempt counts from its beginning, so that many at once are no way around the bound; a right
/// password takes it back, and forgives its account what came before.
final class LoginThrottle: Sendable {
  private struct Tables {
    var accounts: FailureTable<String>
    var addresses: FailureTable<AddressBlock>
  }

  private let tables: Mutex<Tables>

  init(_ settings: PasswordSettings) {
    let period = settings.wrongPeriod.wholeNanoseconds
    tables = Mutex(
      Tables(
        accounts: FailureTable(max: settings.wrongMax, period: UInt64(clamping: period)),
        addresses: FailureTable(
          max: settings.wrongPerAddressMax, period: UInt64(clamping: period))))
  }

  /// How many nanoseconds an address has to wait; nil = it may try.
  func wait(for block: AddressBlock, now: UInt64) -> UInt64? {
    tables.withLock { $0.addresses.wait(for: block, now: now) }
  }

  /// Counts an attempt as a wrong one, or says how many nanoseconds it has to wait.
  ///
  /// `account` is the e-mail address as it is compared, whether anybody has it or not.
  func begin(_ account: String, from block: AddressBlock, now: UInt64) -> UInt64? {
    tables.withLock { tables in
      let waits = [
        tables.accounts.wait(for: account, now: now), tables.addresses.wait(for: block, now: now),
      ]
      if let wait = waits.compactMap({ $0 }).max() { return wait }
      tables.accounts.failed(account, now: now)
      tables.addresses.failed(block, now: now)
      return nil
    }
  }

  /// The password was right.
  func succeeded(_ account: String, from block: AddressBlock) {
    tables.withLock { tables in
      tables.accounts.forgive(account)
      tables.addresses.takeBack(block)
    }
  }

  /// The password was not looked at.
  func takeBack(_ account: String, from block: AddressBlock) {
    tables.withLock { tables in
      tables.accounts.takeBack(account)
      tables.addresses.takeBack(block)
    }
  }
}
