"""What AWS is asked for passes AWS's own parameter validation of the matching API calls."""

import base64
import email
import json
from typing import Any

import botocore.loaders
import botocore.model
import botocore.validate
import pytest
import yaml

from tests.resources.stacks import OPTIONS, of_type, stack


def api_errors(service: str, operation: str, parameters: dict[str, Any]) -> str:
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"))
    shape = model.operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(parameters, shape)
    return "\n".join([report.generate_report(), *_enum_and_length_errors(parameters, shape)]).strip()


def _enum_and_length_errors(value: Any, shape: Any, path: str = "") -> list[str]:
    """botocore itself leaves enums and patterns to the service."""
    if shape.type_name == "structure":
        return [e for k, v in value.items() for e in _enum_and_length_errors(v, shape.members[k], f"{path}.{k}")]
    if shape.type_name == "list":
        return [e for i, v in enumerate(value) for e in _enum_and_length_errors(v, shape.member, f"{path}[{i}]")]
    enum = getattr(shape, "enum", None)
    return [f"{path}: {value} is none of {enum}"] if enum and value not in enum else []


def pascal(value: Any) -> Any:
    """camelCase inputs of the provider as the PascalCase of EC2's API, strings of booleans as booleans."""
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: pascal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [pascal(item) for item in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(params=OPTIONS)
def prod(request: pytest.FixtureRequest) -> Any:
    return stack("prod", podMemory=request.param)


def test_node_groups_are_valid_create_nodegroup_calls(prod: Any) -> None:
    groups = of_type(prod, ":NodeGroup")
    renamed = {"nodeRoleArn": "nodeRole", "subnetIds": "subnets"}

    assert len(groups) == 3
    for group in groups.values():
        call = {renamed.get(key, key): value for key, value in group.inputs.items()}
        assert api_errors("eks", "CreateNodegroup", call | {"nodegroupName": group.name}) == ""


def test_the_launch_template_is_a_valid_create_launch_template_call(prod: Any) -> None:
    (template,) = of_type(prod, ":LaunchTemplate").values()
    inputs = dict(template.inputs)
    tags = inputs.pop("tags")
    inputs.pop("updateDefaultVersion")
    data = pascal({key: value for key, value in inputs.items() if key != "tagSpecifications"})
    data["TagSpecifications"] = [
        {"ResourceType": item["resourceType"], "Tags": tag_list(item["tags"])} for item in inputs["tagSpecifications"]
    ]

    call = {
        "LaunchTemplateName": template.name,
        "LaunchTemplateData": data,
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tag_list(tags)}],
    }
    assert api_errors("ec2", "CreateLaunchTemplate", call) == ""


def test_the_launch_template_says_nothing_that_eks_forbids_beside_a_node_group(prod: Any) -> None:
    (template,) = of_type(prod, ":LaunchTemplate").values()

    forbidden = {"iamInstanceProfile", "networkInterfaces", "hibernationOptions", "instanceMarketOptions", "imageId"}
    assert not forbidden & set(template.inputs)
    for group in of_type(prod, ":NodeGroup").values():
        assert not {"diskSize", "remoteAccess", "instanceTypes"} & set(group.inputs)


def test_the_node_role_is_a_valid_create_role_call_that_ec2_alone_may_use(prod: Any) -> None:
    (role,) = of_type(prod, "iam/role:Role").values()
    trust = role.inputs["assumeRolePolicy"]

    call = {"RoleName": role.name, "AssumeRolePolicyDocument": trust, "Tags": tag_list(role.inputs["tags"])}
    assert api_errors("iam", "CreateRole", call) == ""
    (statement,) = json.loads(trust)["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_the_node_role_has_these_policies_and_no_other(prod: Any) -> None:
    found = {item.inputs["policyArn"] for item in of_type(prod, ":RolePolicyAttachment").values()}
    assert found == {
        "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    }
    (role,) = of_type(prod, "iam/role:Role").values()
    assert set(role.inputs) == {"assumeRolePolicy", "tags"}, "no policy stands in the role itself"
    kinds = {item.type for item in prod.resources if item.type.startswith("aws:iam")}
    assert kinds == {"aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"}


def test_a_node_that_the_cni_takes_its_rights_from_has_its_policy_and_the_plan_warns() -> None:
    found = stack("prod", eks__cniRole="node")
    policies = {
        item.inputs["policyArn"].rpartition("/")[2] for item in of_type(found, ":RolePolicyAttachment").values()
    }
    assert policies == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"}
    assert "nodes-may-change-networks" in {warning.code for warning in found.plan.warnings}
    assert "nodes-may-change-networks" not in {warning.code for warning in stack("prod").plan.warnings}
    given = stack("prod", eks__cniRole="node", eks__nodeRoleArn="arn:aws:iam::111122223333:role/nodes")
    assert "nodes-may-change-networks" not in {warning.code for warning in given.plan.warnings}


KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize("key", [None, KEY])
def test_root_volumes_are_encrypted_with_the_key_that_is_named(key: str | None) -> None:
    found = stack("prod", **({"eks__nodeKmsKeyArn": key} if key else {}))
    (template,) = of_type(found, ":LaunchTemplate").values()
    (disk,) = template.inputs["blockDeviceMappings"]
    assert disk["ebs"]["encrypted"] == "true"
    assert disk["ebs"].get("kmsKeyId") == key
    data = pascal({"blockDeviceMappings": template.inputs["blockDeviceMappings"]})
    assert api_errors("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data}) == ""


def test_a_given_node_role_is_used_and_none_is_made() -> None:
    arn = "arn:aws:iam::111122223333:role/nodes"
    given = stack("prod", eks__nodeRoleArn=arn)

    assert not of_type(given, "iam/role:Role")
    assert {group.inputs["nodeRoleArn"] for group in of_type(given, ":NodeGroup").values()} == {arn}


def test_user_data_is_a_mime_document_whose_node_config_nodeadm_can_merge(prod: Any) -> None:
    (template,) = of_type(prod, ":LaunchTemplate").values()
    document = email.message_from_string(base64.b64decode(template.inputs["userData"]).decode())

    parts = {part.get_content_type(): part.get_payload() for part in document.walk() if not part.is_multipart()}
    assert set(parts) == {"text/x-shellscript", "application/node.eks.aws"}
    config = yaml.safe_load(str(parts["application/node.eks.aws"]))
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    assert "cluster" not in config["spec"], "EKS adds the cluster itself"
    assert config["spec"]["kubelet"]["maxPodsExpression"] == prod.plan.nodes.max_pods_expression


def test_a_call_that_aws_would_refuse_is_seen() -> None:
    assert api_errors("eks", "CreateNodegroup", {"clusterName": "c", "amiType": "AL3"}) != ""
