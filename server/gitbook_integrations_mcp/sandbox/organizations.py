"""Operations on the user, organizations, spaces and sites."""

from gitbook_integrations_mcp.sandbox.call import ApiResponse, Call
from gitbook_integrations_mcp.sandbox.objects import show_organization, show_site, show_space, show_user
from gitbook_integrations_mcp.sandbox.paging import paginate


def get_authenticated_user(call: Call) -> ApiResponse:
    return call.respond(show_user(call.state.user))


def list_organizations_for_authenticated_user(call: Call) -> ApiResponse:
    own = [organization for organization in call.state.organizations.values() if organization.member]
    return paginate(call, own, show_organization)


def list_spaces_in_organization_by_id(call: Call) -> ApiResponse:
    organization = call.find_organization()
    spaces = [space for space in call.state.spaces.values() if space.organization == organization.id]
    return paginate(call, spaces, show_space)


def list_sites(call: Call) -> ApiResponse:
    organization = call.find_organization()
    sites = [
        site
        for site in call.state.sites.values()
        if site.organization == organization.id
        and call.get("space") in {None, *site.spaces}
        and (call.get("title") or "").lower() in site.title.lower()
        and call.get("published") in {None, site.published}
        and (call.get("type") is None or site.type in call["type"])
    ]
    return paginate(call, sites, lambda site: show_site(site, organization))
