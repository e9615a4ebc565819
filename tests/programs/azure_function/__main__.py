"""A function app on a consumption plan, its package a blob: plain pulumi-azure-native."""

import pulumi
from pulumi_azure_native import resources, storage, web

group = resources.ResourceGroup("function")
account = storage.StorageAccount(
    "store",
    resource_group_name=group.name,
    sku={"name": storage.SkuName.STANDARD_LRS},
    kind=storage.Kind.STORAGE_V2,
)
container = storage.BlobContainer(
    "packages", resource_group_name=group.name, account_name=account.name, public_access=storage.PublicAccess.NONE
)
package = storage.Blob(
    "package",
    resource_group_name=group.name,
    account_name=account.name,
    container_name=container.name,
    source=pulumi.FileArchive("./source"),
)
plan = web.AppServicePlan(
    "plan",
    resource_group_name=group.name,
    kind="Linux",
    reserved=True,
    sku={"name": "Y1", "tier": "Dynamic"},
)
keys = storage.list_storage_account_keys_output(resource_group_name=group.name, account_name=account.name)
connection = pulumi.Output.format(
    "DefaultEndpointsProtocol=https;AccountName={0};AccountKey={1};EndpointSuffix=core.windows.net",
    account.name,
    keys.keys[0].value,
)
app = web.WebApp(
    "app",
    resource_group_name=group.name,
    server_farm_id=plan.id,
    kind="functionapp,linux",
    https_only=True,
    identity={"type": web.ManagedServiceIdentityType.SYSTEM_ASSIGNED},
    site_config={
        "app_settings": [
            {"name": "AzureWebJobsStorage", "value": connection},
            {"name": "FUNCTIONS_EXTENSION_VERSION", "value": "~4"},
            {"name": "FUNCTIONS_WORKER_RUNTIME", "value": "python"},
            {"name": "WEBSITE_RUN_FROM_PACKAGE", "value": package.url},
        ],
        "linux_fx_version": "Python|3.11",
    },
)

pulumi.export("endpoint", pulumi.Output.concat("https://", app.default_host_name, "/api/hello"))
pulumi.export("principal", app.identity.principal_id)
pulumi.export("package", package.url)
pulumi.export("app", app.id)
