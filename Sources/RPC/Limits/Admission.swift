internal import EventLoop
internal import Postgres
internal import Synchronization

/// What bounds how many connections there may be.
public enum ConnectionLimit: Int, CaseIterable, Sendable {
  /// All of the process.
  case total
  /// All of an address.
  case address
  /// All whose Hello is not answered yet.
  case unauthenticated
  /// Those of an address.
  case unauthenticatedAddress
  /// All of an API key.
  case key
  /// All of an organization.
  case organization

  /// What the metrics call it.
  public var name: String {
    switch self {
    case .total: "total"
    case .address: "address"
    case .unauthenticated: "unauthenticated"
    case .unauthenticatedAddress: "unauthenticated_address"
    case .key: "key"
    case .organization: "organization"
    }
  }
}

/// Counts the connections of the process by whom they are from.
///
/// Shared by all loops; asked when a connection comes, greets and goes, never by a call. What is
/// not there any more takes no memory.
final class Admission: Sendable {
  private struct Visitors {
    var all = 0
    var unauthenticated = 0
  }

  private struct Counts {
    var all = Visitors()
    var addresses: [AddressBlock: Visitors] = [:]
    var keys: [UUID: Int] = [:]
    var organizations: [UUID: Int] = [:]
    var refused = [UInt64](repeating: 0, count: ConnectionLimit.allCases.count)
  }

  private let settings: ServerSettings
  private let counts = Mutex(Counts())

  init(_ settings: ServerSettings) { self.settings = settings }

  /// Open connections of the process.
  var connectionCount: Int { counts.withLock { $0.all.all } }
  /// Connections that were refused, by ``ConnectionLimit``.
  var refused: [UInt64] { counts.withLock { $0.refused } }
  /// Addresses, keys and organizations that are counted now.
  var countedNames: Int {
    counts.withLock { $0.addresses.count + $0.keys.count + $0.organizations.count }
  }

  /// Counts a connection that was just accepted, or says which bound it is beyond.
  func arrive(from peer: SocketAddress) -> Result<Permit, Refused> {
    let block = AddressBlock(peer)
    let limit = counts.withLock { counts -> ConnectionLimit? in
      let own = counts.addresses[block] ?? Visitors()
      if let limit = firstLimit(counts.all, own) {
        counts.refused[limit.rawValue] &+= 1
        return limit
      }
      counts.all.all += 1
      counts.all.unauthenticated += 1
      counts.addresses[block] = Visitors(all: own.all + 1, unauthenticated: own.unauthenticated + 1)
      return nil
    }
    if let limit { return .failure(Refused(limit: limit)) }
    return .success(Permit(self, block))
  }

  /// Why a connection is not taken.
  struct Refused: Error {
    let limit: ConnectionLimit
  }

  private func firstLimit(_ all: Visitors, _ own: Visitors) -> ConnectionLimit? {
    if all.all >= settings.connectionsMax { return .total }
    if own.all >= settings.connectionsPerAddressMax { return .address }
    // The address first: its own flood is not everybody's.
    if own.unauthenticated >= settings.unauthenticatedPerAddressMax {
      return .unauthenticatedAddress
    }
    return all.unauthenticated >= settings.unauthenticatedMax ? .unauthenticated : nil
  }

  fileprivate func join(_ block: AddressBlock, _ member: Permit.Member) -> ConnectionLimit? {
    counts.withLock { counts in
      let ofKey = counts.keys[member.key] ?? 0
      let ofOrganization = counts.organizations[member.organization] ?? 0
      let limit: ConnectionLimit? =
        ofKey >= settings.connectionsPerKeyMax
        ? .key : ofOrganization >= settings.connectionsPerOrganizationMax ? .organization : nil
      if let limit {
        counts.refused[limit.rawValue] &+= 1
        return limit
      }
      counts.keys[member.key] = ofKey + 1
      counts.organizations[member.organization] = ofOrganization + 1
      counts.all.unauthenticated -= 1
      counts.addresses[block]?.unauthenticated -= 1
      return nil
    }
  }

  fileprivate func leave(_ block: AddressBlock, _ member: Permit.Member?) {
    counts.withLock { counts in
      counts.all.all -= 1
      counts.addresses[block]?.all -= 1
      if let member {
        Admission.release(member.key, in: &counts.keys)
        Admission.release(member.organization, in: &counts.organizations)
      } else {
        counts.all.unauthenticated -= 1
        counts.addresses[block]?.unauthenticated -= 1
      }
      if counts.addresses[block]?.all == 0 { counts.addresses[block] = nil }
    }
  }

  private static func release(_ id: UUID, in counts: inout [UUID: Int]) {
    guard let count = counts[id] else { return }
    counts[id] = count > 1 ? count - 1 : nil
  }
}

/// One counted connection: given back once, whichever way the connection ends.
final class Permit: Sendable {
  fileprivate struct Member {
    let key: UUID
    let organization: UUID
  }

  private enum Stage {
    case arrived
    case joined(Member)
    case ended
  }

  /// Where the connection comes from.
  let block: AddressBlock
  private let admission: Admission
  private let stage = Mutex(Stage.arrived)

  fileprivate init(_ admission: Admission, _ block: AddressBlock) {
    self.admission = admission
    self.block = block
  }

  // A connection that fails on its way from the acceptor to its loop has nobody who would say so.
  deinit { end() }

  /// Counts the connection for its key and its organization, or says which bound it is beyond.
  func join(_ principal: Principal) -> ConnectionLimit? {
    let member = Member(key: principal.apiKeyID, organization: principal.organizationID)
    return stage.withLock { stage in
      guard case .arrived = stage else { return nil }
      if let limit = admission.join(block, member) { return limit }
      stage = .joined(member)
      return nil
    }
  }

  /// The connection has ended; further calls do nothing.
  func end() {
    stage.withLock { stage in
      switch stage {
      case .arrived: admission.leave(block, nil)
      case .joined(let member): admission.leave(block, member)
      case .ended: return
      }
      stage = .ended
    }
  }
}
