// The code of one panel: it gets the views from the widget that all panels of the kernel share.
const views = (globalThis.nbactorsPanels ??= new Map());

async function load(model) {
  const shared = await model.widget_manager.get_model(model.get("code").slice("IPY_MODEL_".length));
  const version = shared.get("version");
  if (!views.has(version)) {
    const url = URL.createObjectURL(new Blob([shared.get("text")], { type: "text/javascript" }));
    views.set(version, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return (await views.get(version)).default();
}

export default () => {
  let definition;
  return {
    async initialize(context) {
      definition = await load(context.model);
      return definition.initialize(context);
    },
    async render(context) {
      definition ??= await load(context.model);
      return definition.render(context);
    },
  };
};
