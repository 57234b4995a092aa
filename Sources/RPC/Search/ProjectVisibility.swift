public import Postgres

/// Which projects a caller sees, as the listings have it.
public struct ProjectVisibility: Sendable {
  let organizationID: UUID
  let userID: UUID
  let seesAll: Bool

  /// What a caller sees.
  public init(_ call: CallContext) {
    organizationID = call.principal.organizationID
    userID = call.principal.id
    seesAll = call.seesAllProjects
  }

  /// Adds ` and …` on the column `project_id` of `alias`.
  public func add(_ alias: StaticString, to sql: inout ComposedStatement) {
    if seesAll {
      // Not a join: those are thought to leave no row of a project that is asked for. That this
      // is not null is thought to hold of nearly all, and does.
      sql.add("\n    and nullif(")
      sql.add(alias, "project_id")
      sql.add(" = any(array(select gone.project_id from deleted_projects as gone")
      sql.add(" where gone.organization_id = ")
      sql.add(uuid: organizationID)
      return sql.add(")), true) is not null")
    }
    // The projects are asked once, and not once a row.
    sql.add("\n    and ")
    sql.add(alias, "project_id")
    sql.add(" = any(array(select project.id from projects as project")
    sql.add(" where project.organization_id = ")
    sql.add(uuid: organizationID)
    sql.add(" and needletail_sees_project(project.id, ")
    sql.add(uuid: userID)
    sql.add(")))")
  }
}

extension ComposedStatement {
  /// Adds ` and …` on the column `experiment_id` of `alias`: one of these; none = any.
  public mutating func addExperiments(_ ids: [UUID], of alias: StaticString) {
    if ids.isEmpty { return }
    add("\n    and ")
    add(alias, "experiment_id")
    // One has what is of it in order in the index.
    guard ids.count > 1 else {
      add(" = ")
      add(uuid: ids[0])
      return
    }
    add(" = any(")
    add(uuids: ids)
    add(")")
  }
}
