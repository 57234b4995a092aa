public import Messages
public import RPC

extension IdentityService {
  public func createProject(
    _ request: CreateProjectRequest, _ call: CallContext
  ) async throws(CallError) -> CreateProjectResponse { throw pending(call) }

  public func getProject(
    _ request: GetProjectRequest, _ call: CallContext
  ) async throws(CallError) -> GetProjectResponse { throw pending(call) }

  public func listProjects(
    _ request: ListProjectsRequest, _ call: CallContext
  ) async throws(CallError) -> ListProjectsResponse { throw pending(call) }

  public func updateProject(
    _ request: UpdateProjectRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateProjectResponse { throw pending(call) }

  public func deleteProject(
    _ request: DeleteProjectRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteProjectResponse { throw pending(call) }

  public func undeleteProject(
    _ request: UndeleteProjectRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteProjectResponse { throw pending(call) }

  public func setProjectMember(
    _ request: SetProjectMemberRequest, _ call: CallContext
  ) async throws(CallError) -> SetProjectMemberResponse { throw pending(call) }

  public func removeProjectMember(
    _ request: RemoveProjectMemberRequest, _ call: CallContext
  ) async throws(CallError) -> RemoveProjectMemberResponse { throw pending(call) }

  public func listProjectMembers(
    _ request: ListProjectMembersRequest, _ call: CallContext
  ) async throws(CallError) -> ListProjectMembersResponse { throw pending(call) }
}
