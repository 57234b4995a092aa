internal import Messages
internal import Postgres
internal import RPC

/// A project as it is stored.
///
/// Times are microseconds since 1970.
struct ProjectRecord: Equatable {
  var id: UUID
  var name: String
  var description: String
  var slug: String
  var visibility: String
  var settingsJSON: String
  var createdBy: UUID
  var createdAt: Int64
  var updatedAt: Int64
  var revision: Int64
  var deletedAt: Int64?
  var purgeAfter: Int64?

  /// The same after a change at `time`.
  func changed(at time: Int64) -> ProjectRecord {
    var after = self
    after.updatedAt = time
    after.revision += 1
    return after
  }

  /// The change that made the project this; `before` is nil for a new one.
  func change(_ verb: String, event: String, from before: ProjectRecord?) -> Change {
    let fields: [(String, (ProjectRecord) -> String?)] = [
      ("name", \.name), ("slug", \.slug), ("description", \.description),
      ("visibility", \.visibility), ("settings_json", \.settingsJSON),
      ("deleted_at", { $0.deletedAt.map(String.init) }),
      ("purge_after", { $0.purgeAfter.map(String.init) }),
    ]
    return Change(
      action: "project.\(verb)", event: "project.\(event)", resourceType: "project",
      resourceID: id, projectID: id,
      detailsJSON: JSONText.change(
        fields.map { name, read in (name, before.flatMap(read), read(self)) }))
  }
}

extension Project {
  /// What callers see of a project.
  init(_ record: ProjectRecord) {
    self.init()
    id = record.id.description
    name = record.name
    description = record.description
    slug = record.slug
    visibility =
      switch record.visibility {
      case "organization": .organization
      case "public": .public
      // The column's check admits these three and no other.
      default: .private
      }
    settingsJSON = record.settingsJSON
    createdBy = record.createdBy.description
    createdAt = Timestamp(microseconds: record.createdAt)
    updatedAt = Timestamp(microseconds: record.updatedAt)
    etag = String(record.revision)
    deletedAt = record.deletedAt.map { Timestamp(microseconds: $0) }
    purgeAfter = record.purgeAfter.map { Timestamp(microseconds: $0) }
  }
}

/// What every statement returns of a project.
protocol ProjectRow {
  var id: UUID { get }
  var name: String { get }
  var description: String { get }
  var slug: String { get }
  var visibility: String { get }
  var settingsJSON: String { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
  var deletedAt: Int64? { get }
  var purgeAfter: Int64? { get }
}

extension ProjectRecord {
  init(_ row: some ProjectRow) {
    self.init(
      id: row.id, name: row.name, description: row.description, slug: row.slug,
      visibility: row.visibility, settingsJSON: row.settingsJSON, createdBy: row.createdBy,
      createdAt: row.createdAt, updatedAt: row.updatedAt, revision: row.revision,
      deletedAt: row.deletedAt, purgeAfter: row.purgeAfter)
  }
}

extension ProjectsQueries.GetProjectRow: ProjectRow {}
extension ProjectsQueries.GetProjectBySlugRow: ProjectRow {}
extension ProjectsQueries.ListProjectsRow: ProjectRow {}
extension ProjectsQueries.ListDeletedProjectsRow: ProjectRow {}
extension ProjectsQueries.GetProjectToChangeRow: ProjectRow {}
