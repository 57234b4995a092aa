import Messages
import SwiftProtobufMessages

extension Peer {
  static let identity =
    caller + users + organizations + invitations + members + projects + keys + auditLogs + access

  private static let caller = unsafe [
    Peer(WhoAmIRequest.self, Needletail_Identity_V1_WhoAmIRequest.self),
    Peer(WhoAmIResponse.self, Needletail_Identity_V1_WhoAmIResponse.self),
    Peer(ProjectSummary.self, Needletail_Identity_V1_ProjectSummary.self),
  ]

  private static let access = unsafe [
    Peer(Permission.self, Needletail_Identity_V1_Permission.self),
    Peer(ListPermissionsRequest.self, Needletail_Identity_V1_ListPermissionsRequest.self),
    Peer(ListPermissionsResponse.self, Needletail_Identity_V1_ListPermissionsResponse.self),
    Peer(AccessDecision.self, Needletail_Identity_V1_AccessDecision.self),
    Peer(ExplainAccessRequest.self, Needletail_Identity_V1_ExplainAccessRequest.self),
    Peer(ExplainAccessResponse.self, Needletail_Identity_V1_ExplainAccessResponse.self),
  ]

  private static let users = unsafe [
    Peer(LoginRequest.self, Needletail_Identity_V1_LoginRequest.self),
    Peer(LoginResponse.self, Needletail_Identity_V1_LoginResponse.self),
    Peer(GetUserRequest.self, Needletail_Identity_V1_GetUserRequest.self),
    Peer(GetUserResponse.self, Needletail_Identity_V1_GetUserResponse.self),
    Peer(UpdateUserRequest.self, Needletail_Identity_V1_UpdateUserRequest.self),
    Peer(UpdateUserResponse.self, Needletail_Identity_V1_UpdateUserResponse.self),
    Peer(ChangePasswordRequest.self, Needletail_Identity_V1_ChangePasswordRequest.self),
    Peer(ChangePasswordResponse.self, Needletail_Identity_V1_ChangePasswordResponse.self),
    Peer(DeleteUserRequest.self, Needletail_Identity_V1_DeleteUserRequest.self),
    Peer(DeleteUserResponse.self, Needletail_Identity_V1_DeleteUserResponse.self),
    Peer(UndeleteUserRequest.self, Needletail_Identity_V1_UndeleteUserRequest.self),
    Peer(UndeleteUserResponse.self, Needletail_Identity_V1_UndeleteUserResponse.self),
  ]

  private static let invitations = unsafe [
    Peer(Invitation.self, Needletail_Identity_V1_Invitation.self),
    Peer(InviteMemberRequest.self, Needletail_Identity_V1_InviteMemberRequest.self),
    Peer(InviteMemberResponse.self, Needletail_Identity_V1_InviteMemberResponse.self),
    Peer(ListInvitationsRequest.self, Needletail_Identity_V1_ListInvitationsRequest.self),
    Peer(ListInvitationsResponse.self, Needletail_Identity_V1_ListInvitationsResponse.self),
    Peer(DeleteInvitationRequest.self, Needletail_Identity_V1_DeleteInvitationRequest.self),
    Peer(DeleteInvitationResponse.self, Needletail_Identity_V1_DeleteInvitationResponse.self),
    Peer(AcceptInvitationRequest.self, Needletail_Identity_V1_AcceptInvitationRequest.self),
    Peer(AcceptInvitationResponse.self, Needletail_Identity_V1_AcceptInvitationResponse.self),
  ]

  private static let organizations = unsafe [
    Peer(Organization.self, Needletail_Identity_V1_Organization.self),
    Peer(GetOrganizationRequest.self, Needletail_Identity_V1_GetOrganizationRequest.self),
    Peer(GetOrganizationResponse.self, Needletail_Identity_V1_GetOrganizationResponse.self),
    Peer(UpdateOrganizationRequest.self, Needletail_Identity_V1_UpdateOrganizationRequest.self),
    Peer(UpdateOrganizationResponse.self, Needletail_Identity_V1_UpdateOrganizationResponse.self),
    Peer(CreateOrganizationRequest.self, Needletail_Identity_V1_CreateOrganizationRequest.self),
    Peer(CreateOrganizationResponse.self, Needletail_Identity_V1_CreateOrganizationResponse.self),
    Peer(ListOrganizationsRequest.self, Needletail_Identity_V1_ListOrganizationsRequest.self),
    Peer(ListOrganizationsResponse.self, Needletail_Identity_V1_ListOrganizationsResponse.self),
    Peer(OrganizationSummary.self, Needletail_Identity_V1_OrganizationSummary.self),
    Peer(DeleteOrganizationRequest.self, Needletail_Identity_V1_DeleteOrganizationRequest.self),
    Peer(DeleteOrganizationResponse.self, Needletail_Identity_V1_DeleteOrganizationResponse.self),
    Peer(UndeleteOrganizationRequest.self, Needletail_Identity_V1_UndeleteOrganizationRequest.self),
    Peer(
      UndeleteOrganizationResponse.self, Needletail_Identity_V1_UndeleteOrganizationResponse.self),
  ]

  private static let members = unsafe [
    Peer(User.self, Needletail_Identity_V1_User.self),
    Peer(Member.self, Needletail_Identity_V1_Member.self),
    Peer(GetMemberRequest.self, Needletail_Identity_V1_GetMemberRequest.self),
    Peer(GetMemberResponse.self, Needletail_Identity_V1_GetMemberResponse.self),
    Peer(ListMembersRequest.self, Needletail_Identity_V1_ListMembersRequest.self),
    Peer(ListMembersResponse.self, Needletail_Identity_V1_ListMembersResponse.self),
    Peer(UpdateMemberRequest.self, Needletail_Identity_V1_UpdateMemberRequest.self),
    Peer(UpdateMemberResponse.self, Needletail_Identity_V1_UpdateMemberResponse.self),
    Peer(RemoveMemberRequest.self, Needletail_Identity_V1_RemoveMemberRequest.self),
    Peer(RemoveMemberResponse.self, Needletail_Identity_V1_RemoveMemberResponse.self),
    Peer(DeactivateMemberRequest.self, Needletail_Identity_V1_DeactivateMemberRequest.self),
    Peer(DeactivateMemberResponse.self, Needletail_Identity_V1_DeactivateMemberResponse.self),
    Peer(ReactivateMemberRequest.self, Needletail_Identity_V1_ReactivateMemberRequest.self),
    Peer(ReactivateMemberResponse.self, Needletail_Identity_V1_ReactivateMemberResponse.self),
    Peer(ServiceAccount.self, Needletail_Identity_V1_ServiceAccount.self),
    Peer(CreateServiceAccountRequest.self, Needletail_Identity_V1_CreateServiceAccountRequest.self),
    Peer(
      CreateServiceAccountResponse.self, Needletail_Identity_V1_CreateServiceAccountResponse.self),
    Peer(GetServiceAccountRequest.self, Needletail_Identity_V1_GetServiceAccountRequest.self),
    Peer(GetServiceAccountResponse.self, Needletail_Identity_V1_GetServiceAccountResponse.self),
    Peer(ListServiceAccountsRequest.self, Needletail_Identity_V1_ListServiceAccountsRequest.self),
    Peer(ListServiceAccountsResponse.self, Needletail_Identity_V1_ListServiceAccountsResponse.self),
    Peer(UpdateServiceAccountRequest.self, Needletail_Identity_V1_UpdateServiceAccountRequest.self),
    Peer(
      UpdateServiceAccountResponse.self, Needletail_Identity_V1_UpdateServiceAccountResponse.self),
    Peer(DeleteServiceAccountRequest.self, Needletail_Identity_V1_DeleteServiceAccountRequest.self),
    Peer(
      DeleteServiceAccountResponse.self, Needletail_Identity_V1_DeleteServiceAccountResponse.self),
  ]

  private static let projects = unsafe [
    Peer(Project.self, Needletail_Identity_V1_Project.self),
    Peer(CreateProjectRequest.self, Needletail_Identity_V1_CreateProjectRequest.self),
    Peer(CreateProjectResponse.self, Needletail_Identity_V1_CreateProjectResponse.self),
    Peer(GetProjectRequest.self, Needletail_Identity_V1_GetProjectRequest.self),
    Peer(GetProjectResponse.self, Needletail_Identity_V1_GetProjectResponse.self),
    Peer(ListProjectsRequest.self, Needletail_Identity_V1_ListProjectsRequest.self),
    Peer(ListProjectsResponse.self, Needletail_Identity_V1_ListProjectsResponse.self),
    Peer(UpdateProjectRequest.self, Needletail_Identity_V1_UpdateProjectRequest.self),
    Peer(UpdateProjectResponse.self, Needletail_Identity_V1_UpdateProjectResponse.self),
    Peer(DeleteProjectRequest.self, Needletail_Identity_V1_DeleteProjectRequest.self),
    Peer(DeleteProjectResponse.self, Needletail_Identity_V1_DeleteProjectResponse.self),
    Peer(UndeleteProjectRequest.self, Needletail_Identity_V1_UndeleteProjectRequest.self),
    Peer(UndeleteProjectResponse.self, Needletail_Identity_V1_UndeleteProjectResponse.self),
    Peer(ProjectMember.self, Needletail_Identity_V1_ProjectMember.self),
    Peer(SetProjectMemberRequest.self, Needletail_Identity_V1_SetProjectMemberRequest.self),
    Peer(SetProjectMemberResponse.self, Needletail_Identity_V1_SetProjectMemberResponse.self),
    Peer(RemoveProjectMemberRequest.self, Needletail_Identity_V1_RemoveProjectMemberRequest.self),
    Peer(RemoveProjectMemberResponse.self, Needletail_Identity_V1_RemoveProjectMemberResponse.self),
    Peer(ListProjectMembersRequest.self, Needletail_Identity_V1_ListProjectMembersRequest.self),
    Peer(ListProjectMembersResponse.self, Needletail_Identity_V1_ListProjectMembersResponse.self),
  ]

  private static let keys = unsafe [
    Peer(ApiKey.self, Needletail_Identity_V1_ApiKey.self),
    Peer(CreateApiKeyRequest.self, Needletail_Identity_V1_CreateApiKeyRequest.self),
    Peer(CreateApiKeyResponse.self, Needletail_Identity_V1_CreateApiKeyResponse.self),
    Peer(GetApiKeyRequest.self, Needletail_Identity_V1_GetApiKeyRequest.self),
    Peer(GetApiKeyResponse.self, Needletail_Identity_V1_GetApiKeyResponse.self),
    Peer(ListApiKeysRequest.self, Needletail_Identity_V1_ListApiKeysRequest.self),
    Peer(ListApiKeysResponse.self, Needletail_Identity_V1_ListApiKeysResponse.self),
    Peer(Scopes.self, Needletail_Identity_V1_Scopes.self),
    Peer(AddressRanges.self, Needletail_Identity_V1_AddressRanges.self),
    Peer(UpdateApiKeyRequest.self, Needletail_Identity_V1_UpdateApiKeyRequest.self),
    Peer(UpdateApiKeyResponse.self, Needletail_Identity_V1_UpdateApiKeyResponse.self),
    Peer(RevokeApiKeyRequest.self, Needletail_Identity_V1_RevokeApiKeyRequest.self),
    Peer(RevokeApiKeyResponse.self, Needletail_Identity_V1_RevokeApiKeyResponse.self),
    Peer(RotateApiKeyRequest.self, Needletail_Identity_V1_RotateApiKeyRequest.self),
    Peer(RotateApiKeyResponse.self, Needletail_Identity_V1_RotateApiKeyResponse.self),
  ]

  private static let auditLogs = unsafe [
    Peer(AuditLog.self, Needletail_Identity_V1_AuditLog.self),
    Peer(AuditLogFilter.self, Needletail_Identity_V1_AuditLogFilter.self),
    Peer(ListAuditLogsRequest.self, Needletail_Identity_V1_ListAuditLogsRequest.self),
    Peer(ListAuditLogsResponse.self, Needletail_Identity_V1_ListAuditLogsResponse.self),
    Peer(ExportAuditLogsRequest.self, Needletail_Identity_V1_ExportAuditLogsRequest.self),
    Peer(ExportAuditLogsResponse.self, Needletail_Identity_V1_ExportAuditLogsResponse.self),
  ]
}
