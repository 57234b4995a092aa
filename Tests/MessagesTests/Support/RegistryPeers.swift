import Messages
import SwiftProtobufMessages

extension Peer {
  static let registry = unsafe [
    Peer(ModelName.self, Needletail_Registry_V1_ModelName.self),
    Peer(ModelTag.self, Needletail_Registry_V1_ModelTag.self),
    Peer(ModelAlias.self, Needletail_Registry_V1_ModelAlias.self),
    Peer(Model.self, Needletail_Registry_V1_Model.self),
    Peer(CreateModelRequest.self, Needletail_Registry_V1_CreateModelRequest.self),
    Peer(CreateModelResponse.self, Needletail_Registry_V1_CreateModelResponse.self),
    Peer(GetModelRequest.self, Needletail_Registry_V1_GetModelRequest.self),
    Peer(GetModelResponse.self, Needletail_Registry_V1_GetModelResponse.self),
    Peer(ListModelsRequest.self, Needletail_Registry_V1_ListModelsRequest.self),
    Peer(ListModelsResponse.self, Needletail_Registry_V1_ListModelsResponse.self),
    Peer(UpdateModelRequest.self, Needletail_Registry_V1_UpdateModelRequest.self),
    Peer(UpdateModelResponse.self, Needletail_Registry_V1_UpdateModelResponse.self),
    Peer(DeleteModelRequest.self, Needletail_Registry_V1_DeleteModelRequest.self),
    Peer(DeleteModelResponse.self, Needletail_Registry_V1_DeleteModelResponse.self),
    Peer(UndeleteModelRequest.self, Needletail_Registry_V1_UndeleteModelRequest.self),
    Peer(UndeleteModelResponse.self, Needletail_Registry_V1_UndeleteModelResponse.self),
    Peer(SetModelTagsRequest.self, Needletail_Registry_V1_SetModelTagsRequest.self),
    Peer(SetModelTagsResponse.self, Needletail_Registry_V1_SetModelTagsResponse.self),
    Peer(SetModelVersionTagsRequest.self, Needletail_Registry_V1_SetModelVersionTagsRequest.self),
    Peer(SetModelVersionTagsResponse.self, Needletail_Registry_V1_SetModelVersionTagsResponse.self),
    Peer(SetModelAliasRequest.self, Needletail_Registry_V1_SetModelAliasRequest.self),
    Peer(SetModelAliasResponse.self, Needletail_Registry_V1_SetModelAliasResponse.self),
    Peer(DeleteModelAliasRequest.self, Needletail_Registry_V1_DeleteModelAliasRequest.self),
    Peer(DeleteModelAliasResponse.self, Needletail_Registry_V1_DeleteModelAliasResponse.self),
    Peer(ListModelAliasesRequest.self, Needletail_Registry_V1_ListModelAliasesRequest.self),
    Peer(ListModelAliasesResponse.self, Needletail_Registry_V1_ListModelAliasesResponse.self),
    Peer(ModelVersion.self, Needletail_Registry_V1_ModelVersion.self),
    Peer(CreateModelVersionRequest.self, Needletail_Registry_V1_CreateModelVersionRequest.self),
    Peer(CreateModelVersionResponse.self, Needletail_Registry_V1_CreateModelVersionResponse.self),
    Peer(GetModelVersionRequest.self, Needletail_Registry_V1_GetModelVersionRequest.self),
    Peer(GetModelVersionResponse.self, Needletail_Registry_V1_GetModelVersionResponse.self),
    Peer(ListModelVersionsRequest.self, Needletail_Registry_V1_ListModelVersionsRequest.self),
    Peer(ListModelVersionsResponse.self, Needletail_Registry_V1_ListModelVersionsResponse.self),
    Peer(UpdateModelVersionRequest.self, Needletail_Registry_V1_UpdateModelVersionRequest.self),
    Peer(UpdateModelVersionResponse.self, Needletail_Registry_V1_UpdateModelVersionResponse.self),
    Peer(DeleteModelVersionRequest.self, Needletail_Registry_V1_DeleteModelVersionRequest.self),
    Peer(DeleteModelVersionResponse.self, Needletail_Registry_V1_DeleteModelVersionResponse.self),
    Peer(StageTransition.self, Needletail_Registry_V1_StageTransition.self),
    Peer(
      TransitionModelVersionStageRequest.self,
      Needletail_Registry_V1_TransitionModelVersionStageRequest.self),
    Peer(
      TransitionModelVersionStageResponse.self,
      Needletail_Registry_V1_TransitionModelVersionStageResponse.self),
    Peer(ListStageTransitionsRequest.self, Needletail_Registry_V1_ListStageTransitionsRequest.self),
    Peer(
      ListStageTransitionsResponse.self, Needletail_Registry_V1_ListStageTransitionsResponse.self),
  ]
}
