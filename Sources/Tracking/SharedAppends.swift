internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// Stores small groups of several writers of an organization in shared transactions.
///
/// Lives on a loop.
///
/// A transaction costs the same whether it stores one point or a thousand: thousands of writers
/// with a few points each must share it. What comes while an organization's transaction is under
/// way goes into its next one, so the database's speed sets how many share one; only among many
/// does one wait for more. A writer that is alone waits for nobody.
final class SharedAppends {
  /// Points from which a group is worth a transaction of its own.
  static let alonePointsMin = 2_000
  /// Points of one shared transaction.
  static let sharedPointsMax = 20_000

  /// Writers that shared a transaction from which the next one waits for more to come.
  static let crowdMin = 8
  /// How long it waits then: what a transaction costs however little it stores is paid less often.
  static let crowdPause = Duration.milliseconds(15)

  /// What became of a group.
  enum Outcome {
    case stored
    /// The shared transaction was refused, for this group or for another: store it by itself.
    case undecided
    case failed(PostgresError)
  }

  /// A writer's group that waits for its transaction.
  private final class Part {
    let writerID: UUID
    let group: MetricGroup
    let call: CallContext
    var outcome: Outcome?
    var waiter: Waiter?

    init(_ writerID: UUID, _ group: MetricGroup, _ call: CallContext) {
      self.writerID = writerID
      self.group = group
      self.call = call
    }

    func finish(_ outcome: Outcome) {
      self.outcome = outcome
      let waiter = waiter
      self.waiter = nil
      waiter?.resume()
    }
  }

  /// The groups that wait, by the organization; an entry stands while a transaction is under way.
  private var waiting: [UUID: [Part]] = [:]
  private let database: Database

  init(_ database: Database) { self.database = database }

  /// Stores a group with whatever other writers of the organization have.
  ///
  /// It goes on when its caller gives up: others depend on the transaction.
  func store(_ group: MetricGroup, writer: UUID, _ call: CallContext) async -> Outcome {
    let part = Part(writer, group, call)
    let organizationID = call.principal.organizationID
    if waiting[organizationID] != nil {
      waiting[organizationID]?.append(part)
    } else {
      waiting[organizationID] = [part]
      // A task begins behind whatever else this turn has ready, so that it finds all of that.
      database.loop.spawn { await self.work(for: organizationID) }
    }
    await Waiter.suspend(unless: { part.outcome != nil }) { part.waiter = $0 }
    // Set before the waiter was resumed.
    return part.outcome ?? .undecided
  }

  /// Commits what waits for an organization until nothing does.
  private func work(for organizationID: UUID) async {
    while let parts = take(organizationID) {
      let work = Work(scope: .organization(organizationID), deadline: nil, cancellation: nil)
      var outcome = Outcome.stored
      do throws(PostgresError) {
        try await database.commit(work, SharedAppends.statements(parts))
      } catch {
        outcome =
          error.serverError != nil && parts.count > 1 ? .undecided : .failed(error)
      }
      for part in parts { part.finish(outcome) }
      if parts.count >= SharedAppends.crowdMin {
        await database.loop.pause(SharedAppends.crowdPause)
      }
    }
  }

  /// Takes as many groups as one transaction holds; with none left the entry is removed.
  private func take(_ organizationID: UUID) -> [Part]? {
    guard let all = waiting[organizationID], !all.isEmpty else {
      waiting[organizationID] = nil
      return nil
    }
    var points = 0
    var count = 0
    while count < all.count, count == 0 || points < SharedAppends.sharedPointsMax {
      points += all[count].group.pointCount
      count += 1
    }
    waiting[organizationID] = Array(all[count...])
    return Array(all[..<count])
  }

  /// The statements that store all groups: every writer moves on, the runs are held for each of
  /// the users, chunks and summaries are written.
  private static func statements(_ unordered: [Part]) -> Batch {
    // Always in one order: transactions of two loops never wait for one another in a circle.
    let parts = unordered.sorted { $0.writerID < $1.writerID }
    let call = parts[0].call
    let organizationID = call.principal.organizationID
    var batch = Batch()
    batch.add(
      MetricAppendsQueries.advanceWriters(
        writerIDs: parts.map(\.writerID), firstSequences: parts.map(\.group.firstSequence),
        lastSequences: parts.map { Int64(clamping: $0.group.lastSequence) },
        organizationID: organizationID))
    for (userID, parts) in Dictionary(grouping: parts, by: { $0.call.principal.id }) {
      let runs = Array(Set(parts.flatMap { $0.group.columns.map(\.run) }))
      batch.add(
        MetricAppendsQueries.requireRunningRuns(
          runIDs: runs.map(\.id), organizationID: organizationID, userID: userID,
          sufficientRoles: call.sufficientRoles, epochs: runs.map(\.epoch)))
    }
    MetricGroup.write(parts.flatMap(\.group.columns), &batch, call)
    return batch
  }
}
