public import Messages
public import RPC

extension IdentityService {
  /// Not there yet.
  public func createOrganization(
    _ request: CreateOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> CreateOrganizationResponse {
    throw CallError(RpcErrorReason.methodUnknown, "CreateOrganization is not there yet.")
  }

  /// Not there yet.
  public func listOrganizations(
    _ request: ListOrganizationsRequest, _ call: CallContext
  ) async throws(CallError) -> ListOrganizationsResponse {
    throw CallError(RpcErrorReason.methodUnknown, "ListOrganizations is not there yet.")
  }

  /// Not there yet.
  public func deleteOrganization(
    _ request: DeleteOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteOrganizationResponse {
    throw CallError(RpcErrorReason.methodUnknown, "DeleteOrganization is not there yet.")
  }

  /// Not there yet.
  public func undeleteOrganization(
    _ request: UndeleteOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteOrganizationResponse {
    throw CallError(RpcErrorReason.methodUnknown, "UndeleteOrganization is not there yet.")
  }

  /// Not there yet.
  public func inviteMember(
    _ request: InviteMemberRequest, _ call: CallContext
  ) async throws(CallError) -> InviteMemberResponse {
    throw CallError(RpcErrorReason.methodUnknown, "InviteMember is not there yet.")
  }

  /// Not there yet.
  public func listInvitations(
    _ request: ListInvitationsRequest, _ call: CallContext
  ) async throws(CallError) -> ListInvitationsResponse {
    throw CallError(RpcErrorReason.methodUnknown, "ListInvitations is not there yet.")
  }

  /// Not there yet.
  public func deleteInvitation(
    _ request: DeleteInvitationRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteInvitationResponse {
    throw CallError(RpcErrorReason.methodUnknown, "DeleteInvitation is not there yet.")
  }

  /// Not there yet.
  public func acceptInvitation(
    _ request: AcceptInvitationRequest, _ call: CallContext
  ) async throws(CallError) -> AcceptInvitationResponse {
    throw CallError(RpcErrorReason.methodUnknown, "AcceptInvitation is not there yet.")
  }
}
